"""Subset selection: name a set of values that holds the true one more often than not."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

from hushtally.client_sdk.errors import MechanismError
from hushtally.client_sdk.mechanisms.base import SYMBOLS_NAMED, Weights
from hushtally.client_sdk.mechanisms.design import Design, nearest_sizes
from hushtally.client_sdk.randomness import Randomness


@dataclass(frozen=True)
class Subset(Design):
    """SS(w): the symbol is the rank of a set of w values, which it supports; weight e^epsilon if the truth is in it.

    The set {a_1 < ... < a_w} has rank C(a_1, 1) + ... + C(a_w, w): colexicographic order (the combinadic number
    system). Drawing is one draw of a rank among the sets of the other values, never a rejected one: closing or opening
    the gap at the true value moves only the members above it. Ye & Barg 2018; Wang et al. 2016.
    """

    w: int

    name: ClassVar[str] = "subset"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.w < self.domain:
            raise MechanismError(f"subset needs 1 <= w < {self.domain}, the number of values, got w = {self.w}")
        if _digits(self.domain, self.w) > 30 or self.symbols > SYMBOLS_NAMED:
            raise MechanismError(
                f"subset of {self.domain:,} values has {_size(self.domain, self.w)} symbols at w = {self.w}, "
                f"more than {SYMBOLS_NAMED:,}; affine or auto fits"
            )

    @classmethod
    def candidates(cls, domain: int, epsilon: float, most_symbols: int) -> Iterator[Self]:
        # Where the best size has too many symbols, the largest size below it that fits may still beat other families.
        sizes = set(cls._best_sizes(domain, epsilon))
        most = 0
        while most < max(sizes) and math.comb(domain, most + 1) <= most_symbols:
            most += 1
        for w in sorted({min(w, most) for w in sizes} - {0}):
            yield cls(domain, Weights.of(epsilon), w)

    @classmethod
    def best(cls, domain: int, epsilon: float) -> Self:
        # A smaller set would fit but lose accuracy that the analyst did not mean to lose.
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
        """C(a, j) at [j][a]."""
        return [[math.comb(a, j) for a in range(self.domain)] for j in range(self.w + 1)]

    @cached_property
    def _draws(self) -> tuple[int, int]:
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
        """The w values that `symbol` supports, the largest first."""
        members = []
        for j in range(self.w, 0, -1):
            members.append(bisect_right(self._combinations[j], symbol) - 1)
            symbol -= self._combinations[j][members[-1]]
        return members

    def supports(self, symbol: int, value: int) -> bool:
        return value in self.members(symbol)


def _digits(d: int, w: int) -> float:
    return (math.lgamma(d + 1) - math.lgamma(w + 1) - math.lgamma(d - w + 1)) / math.log(10)


def _size(d: int, w: int) -> str:
    return f"{math.comb(d, w):,}" if _digits(d, w) <= 30 else f"about 10^{_digits(d, w):.0f}"
