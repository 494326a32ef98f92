"""Subset selection: the symbol is a set of values, which contains the true value with a high probability."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

from hushtally.client_sdk.errors import MechanismError
from hushtally.client_sdk.mechanisms.base import MAX_SYMBOLS, Weights
from hushtally.client_sdk.mechanisms.design import Design, nearest_sizes
from hushtally.client_sdk.randomness import Randomness


@dataclass(frozen=True)
class Subset(Design):
    """Subset selection with sets of size w: the symbol is the rank of a set, and supports the values in the set.

    A set has weight e^epsilon if it contains the true value, and 1 otherwise. With d values and the normalizer
    z = w e^epsilon + d - w, p = w e^epsilon / z and q = w ((w - 1) e^epsilon + d - w) / ((d - 1) z).
    Ye & Barg 2018; Wang et al. 2016.

    The set {a_1 < ... < a_w} has the rank C(a_1, 1) + ... + C(a_w, w): colexicographic order, also called the
    combinatorial number system. A draw never rejects: the device draws the rank of a set of the d - 1 other values.
    Then every member from the true value on moves up by one, which leaves a gap at the true value.
    """

    w: int

    name: ClassVar[str] = "subset"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.w < self.domain:
            raise MechanismError(f"w of subset must be from 1 to {self.domain - 1:,}, got {self.w:,}")
        if _digits(self.domain, self.w) > 30 or self.symbols > MAX_SYMBOLS:
            raise MechanismError(
                f"subset may have at most {MAX_SYMBOLS:,} symbols, but {self.domain:,} segments at w = {self.w} "
                f"give {_size(self.domain, self.w)}; use affine or auto"
            )

    @classmethod
    def candidates(cls, domain: int, epsilon: float, max_symbols: int) -> Iterator[Self]:
        # If the best size has too many symbols, the largest size below the limit may still beat other families.
        sizes = set(cls._best_sizes(domain, epsilon))
        largest = 0
        while largest < max(sizes) and math.comb(domain, largest + 1) <= max_symbols:
            largest += 1
        for w in sorted({min(w, largest) for w in sizes} - {0}):
            yield cls(domain, Weights.of(epsilon), w)

    @classmethod
    def best(cls, domain: int, epsilon: float) -> Self:
        # The constructor refuses a best size that is too large. A smaller size would silently lose accuracy.
        for w in cls._best_sizes(domain, epsilon):
            cls(domain, Weights.of(epsilon), w)
        return super().best(domain, epsilon)

    @staticmethod
    def _best_sizes(domain: int, epsilon: float) -> range:
        return nearest_sizes(domain / (math.exp(epsilon) + 1), domain - 1)

    @property
    def symbols(self) -> int:
        return math.comb(self.domain, self.w)

    @property
    def symbols_per_value(self) -> int:
        return math.comb(self.domain - 1, self.w - 1)

    @property
    def symbols_per_pair(self) -> int:
        return math.comb(self.domain - 2, self.w - 2) if self.w > 1 else 0

    @property
    def parameters(self) -> Mapping[str, object]:
        return {"w": self.w}

    @cached_property
    def _combinations(self) -> list[list[int]]:
        """Binomial coefficients: [j][a] is C(a, j)."""
        return [[math.comb(a, j) for a in range(self.domain)] for j in range(self.w + 1)]

    @cached_property
    def _draws(self) -> tuple[int, int]:
        """The number of symbols that support a value, and of those that do not."""
        return self.symbols_per_value, self.symbols - self.symbols_per_value

    def draw_supporting(self, value: int, randomness: Randomness) -> int:
        table = self._combinations
        rest, symbol = randomness.below(self._draws[0]), 0
        for j in range(self.w - 1, 0, -1):
            member = bisect_right(table[j], rest) - 1
            if member < value:
                return symbol + table[j + 1][value] + rest
            rest -= table[j][member]
            symbol += table[j + 1][member + 1]
        return symbol + value

    def draw_other(self, value: int, randomness: Randomness) -> int:
        table = self._combinations
        rest, symbol = randomness.below(self._draws[1]), 0
        for j in range(self.w, 0, -1):
            member = bisect_right(table[j], rest) - 1
            if member < value:
                break
            rest -= table[j][member]
            symbol += table[j][member + 1]
        return symbol + rest

    def members(self, symbol: int) -> list[int]:
        """The w values that `symbol` supports, in descending order."""
        members = []
        for j in range(self.w, 0, -1):
            members.append(bisect_right(self._combinations[j], symbol) - 1)
            symbol -= self._combinations[j][members[-1]]
        return members

    def supports(self, symbol: int, value: int) -> bool:
        return value in self.members(symbol)


def _digits(d: int, w: int) -> float:
    """log10 of C(d, w)."""
    return (math.lgamma(d + 1) - math.lgamma(w + 1) - math.lgamma(d - w + 1)) / math.log(10)


def _size(d: int, w: int) -> str:
    """C(d, w) for a message, in full or as a power of ten."""
    return f"{math.comb(d, w):,}" if _digits(d, w) <= 30 else f"about 10^{_digits(d, w):.0f}"
