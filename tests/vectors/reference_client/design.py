"""What the four designs have in common: a coin decides whether the symbol supports the value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from reference_client.words import Words


class Design(Protocol):
    """A design for `d` values with the parameters of a description."""

    symbols: int  # K
    per_value: int  # c

    def __init__(self, description: dict[str, Any], d: int) -> None: ...

    def supports(self, symbol: int, v: int) -> bool: ...

    def draw(self, v: int, supporting: bool, words: Words) -> int:
        """A symbol that supports v, or one that does not."""
        ...


def perturb(design: Design, weights: Sequence[int], v: int, words: Words) -> int:
    near, far = weights
    favourable = near * design.per_value
    return design.draw(v, words.coin((favourable, favourable + far * (design.symbols - design.per_value))), words)
