"""A mechanism as a survey describes it: from a value and random words to a symbol."""

from __future__ import annotations

from typing import Any

from reference_client.affine import Affine
from reference_client.design import Design, perturb
from reference_client.direct import Direct
from reference_client.projective import Projective
from reference_client.rappor import Rappor
from reference_client.subset import Subset
from reference_client.words import Words

DESIGNS: dict[str, type[Design]] = {"direct": Direct, "subset": Subset, "affine": Affine, "projective": Projective}


class Mechanism:
    """The mechanism of a description, for `d` values."""

    def __init__(self, description: dict[str, Any], d: int) -> None:
        self.description, self.d = description, d
        self.design = DESIGNS[description["name"]](description, d) if description["name"] in DESIGNS else None
        self.rappor = Rappor(description) if description["name"] == "rappor" else None
        self.permanent = self.rappor is not None or "gamma" in description

    def supports(self, symbol: int, v: int) -> bool:
        chosen = self.design or self.rappor
        return chosen.supports(symbol, v) if chosen else bool(symbol >> v & 1)

    def perturb(self, v: int, words: Words) -> int:
        """The symbol of a report, for a value that the device never answered before."""
        return self.repeat(self.draw(v, None, words), words) if self.permanent else self._once(v, words, "")

    def draw(self, v: int, previous: int | None, words: Words) -> int:
        """The permanent symbol of a value."""
        return self.rappor.draw(v, previous, words) if self.rappor else self._once(v, words, "permanent_")

    def repeat(self, permanent: int, words: Words) -> int:
        """The symbol of a report of a permanent symbol."""
        if self.rappor:
            return self.rappor.repeat(permanent, words)
        return permanent if words.coin((int(self.description["gamma"]), 2**64)) else self._baseline(words)

    def _baseline(self, words: Words) -> int:
        return words.below(self.design.symbols) if self.design else words.bits([self.description["others"]] * self.d)

    def _once(self, v: int, words: Words, prefix: str) -> int:
        """One draw with the numbers of the description that have this prefix."""
        if self.design:
            return perturb(self.design, self.description[f"{prefix}weights"], v, words)
        truth, others = (self.description[f"{prefix}{name}"] for name in ("truth", "others"))
        return words.bits(truth if bit == v else others for bit in range(self.d))
