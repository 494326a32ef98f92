"""Affine design: a window of a field, or slabs of a space, that a random multiplier has shuffled."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import count, islice
from typing import Any, ClassVar, Self

from hushtally.client_sdk.errors import MechanismError
from hushtally.client_sdk.mechanisms.base import SYMBOLS_NAMED, Weights
from hushtally.client_sdk.mechanisms.design import Design, nearest_sizes
from hushtally.client_sdk.mechanisms.galois import Field
from hushtally.client_sdk.mechanisms.primes import is_prime, primes_from
from hushtally.client_sdk.randomness import Randomness

MOST_RESIDUES = math.isqrt(SYMBOLS_NAMED)
MOST_IN_SPACE = 2**24  # r^(t + 1), t > 1: the aggregator decodes by Fourier transforms over all of them


@dataclass(frozen=True)
class Affine(Design):
    """A(r, w) and A(r, w, t): the symbol (m - 1) r + s supports v iff m v - s < w, a difference in a field of r.

    Without t, r is a prime or the square of an odd one, r >= domain, and m one of its r - 1 elements that are not 0:
    x -> m x - s is sharply 2-transitive. With t > 1, r is a prime, r^t >= domain, values and multipliers are vectors
    of t coordinates mod r, read as numbers in base r, and m v is their inner product. Either way the values that
    symbols support are the blocks of a 2-design, w r^(t - 1) of r^t values in each, with only r (r^t - 1) symbols:
    the variance of a subset selection of that size. Park, Nam & Lee 2023; Pan 2026.
    """

    r: int
    w: int
    t: int = 1

    name: ClassVar[str] = "affine"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.t == 1 and not (self.domain <= self.r <= MOST_RESIDUES and Field.exists(self.r)):
            fits = next(filter(Field.exists, count(self.domain)))
            raise MechanismError(
                f"affine needs r, a prime or the square of an odd one, from {self.domain:,} to {MOST_RESIDUES:,}, "
                f"got {self.r:,}; r = {fits:,} fits"
            )
        if self.t != 1 and not self._fits_space:
            raise MechanismError(
                f"affine with t needs t >= 2, a prime r, r^t of at least {self.domain:,}, the number of values, and "
                f"r^(t + 1) of at most {MOST_IN_SPACE:,}, got r = {self.r:,}, t = {self.t:,}"
            )
        if not 1 <= self.w < self.r:
            raise MechanismError(f"affine needs 1 <= w < r = {self.r}, got w = {self.w}")

    @property
    def _fits_space(self) -> bool:
        small = 2 <= self.t < MOST_IN_SPACE.bit_length() and 2 <= self.r <= MOST_IN_SPACE
        return small and self.domain <= self.r**self.t <= MOST_IN_SPACE // self.r and is_prime(self.r)

    @classmethod
    def candidates(cls, domain: int, epsilon: float, most_symbols: int) -> Iterator[Self]:
        square = next(p * p for p in primes_from(3) if p * p >= domain)
        for r in (*islice(primes_from(domain), 3), square):
            if r * (r - 1) <= most_symbols:
                for w in nearest_sizes(r / (math.exp(epsilon) + 1), r - 1):
                    yield cls(domain, Weights.of(epsilon), r, w)

    @classmethod
    def in_space(cls, domain: int, epsilon: float, most_symbols: int) -> Iterator[Self]:
        """Members with t > 1: many fewer symbols for as many values, but more than a projective geometry has."""
        for t in range(2, most_symbols.bit_length()):
            for r in primes_from(2):
                if r * (r**t - 1) > most_symbols:
                    break
                if r**t >= domain:
                    for w in nearest_sizes(r / (math.exp(epsilon) + 1), r - 1):
                        yield cls(domain, Weights.of(epsilon), r, w, t)

    @cached_property
    def field(self) -> Field:
        """What the symbols' differences are reckoned in."""
        return Field(self.r)

    @cached_property
    def multipliers(self) -> int:
        """How many there are: r^t - 1."""
        return int(self.r**self.t) - 1

    @property
    def symbols(self) -> int:
        return self.r * self.multipliers

    @property
    def symbols_per_value(self) -> int:
        return self.multipliers * self.w

    @property
    def symbols_per_pair(self) -> int:
        return int(self.w * (self.r ** (self.t - 1) * self.w - 1))

    @property
    def parameters(self) -> Mapping[str, object]:
        return {"r": self.r, "w": self.w} | ({} if self.t == 1 else {"t": self.t})

    def draw_supporting(self, value: int, randomness: Randomness) -> int:
        return self._symbol(value, randomness.below(self.multipliers), randomness.below(self.w))

    def draw_other(self, value: int, randomness: Randomness) -> int:
        return self._symbol(value, randomness.below(self.multipliers), self.w + randomness.below(self.r - self.w))

    def _symbol(self, value: int, row: int, offset: int) -> int:
        return row * self.r + int(self.field.minus(self.product(row, value), offset))

    def product(self, row: Any, value: Any) -> Any:
        """m v, where m = row + 1; of numbers or of arrays of integers."""
        if self.t == 1:
            return self.field.times(row + 1, value)
        total, multiplier = 0, row + 1
        for _ in range(self.t):
            multiplier, one = divmod(multiplier, self.r)
            value, other = divmod(value, self.r)
            total = total + one * other
        return total % self.r

    def supports(self, symbol: int, value: int) -> bool:
        row, start = divmod(symbol, self.r)
        return bool(self.field.minus(self.product(row, value), start) < self.w)
