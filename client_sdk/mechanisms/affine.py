"""Affine design: a window of residues on a line that a random multiplier has shuffled."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar, Self

from client_sdk.errors import MechanismError
from client_sdk.mechanisms.base import SYMBOLS_NAMED, Weights
from client_sdk.mechanisms.design import Design, nearest_sizes
from client_sdk.mechanisms.primes import is_prime, primes_from
from client_sdk.randomness import Randomness

MOST_RESIDUES = math.isqrt(SYMBOLS_NAMED)


@dataclass(frozen=True)
class Affine(Design):
    """A(r, w): the symbol (m - 1) r + c supports v iff (m v - c) mod r < w; r prime, r >= domain, m in 1..r-1.

    x -> m x - c is sharply 2-transitive on the residues, so the windows are the blocks of a 2-design: the variance of
    the best subset selection on r values with only r (r - 1) symbols. Park, Nam & Lee 2023; Pan 2026.
    """

    r: int
    w: int

    name: ClassVar[str] = "affine"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.domain <= self.r <= MOST_RESIDUES and is_prime(self.r)):
            raise MechanismError(f"affine needs a prime r from {self.domain:,} to {MOST_RESIDUES:,}, got {self.r:,}")
        if not 1 <= self.w < self.r:
            raise MechanismError(f"affine needs 1 <= w < r = {self.r}, got w = {self.w}")

    @classmethod
    def candidates(cls, domain: int, epsilon: float, most_symbols: int) -> Iterator[Self]:
        for r in islice(primes_from(domain), 3):
            if r * (r - 1) <= most_symbols:
                for w in nearest_sizes(r / (math.exp(epsilon) + 1), r - 1):
                    yield cls(domain, Weights.of(epsilon), r, w)

    @property
    def symbols(self) -> int:
        return self.r * (self.r - 1)

    @property
    def symbols_per_value(self) -> int:
        return (self.r - 1) * self.w

    @property
    def symbols_per_pair(self) -> int:
        return self.w * (self.w - 1)

    @property
    def parameters(self) -> Mapping[str, object]:
        return {"r": self.r, "w": self.w}

    def draw_supporting(self, value: int, randomness: Randomness) -> int:
        return self._symbol(value, randomness.below(self.r - 1), randomness.below(self.w))

    def draw_other(self, value: int, randomness: Randomness) -> int:
        return self._symbol(value, randomness.below(self.r - 1), self.w + randomness.below(self.r - self.w))

    def _symbol(self, value: int, row: int, offset: int) -> int:
        return row * self.r + ((row + 1) * value - offset) % self.r

    def supports(self, symbol: int, value: int) -> bool:
        row, start = divmod(symbol, self.r)
        return ((row + 1) * value - start) % self.r < self.w
