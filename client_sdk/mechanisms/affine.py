"""Affine designs: a symbol supports the values that an affine map sends into a window of a finite field."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import count, islice
from typing import Any, ClassVar, Self

from hushtally.client_sdk.errors import MechanismError
from hushtally.client_sdk.mechanisms.base import MAX_SYMBOLS, Weights
from hushtally.client_sdk.mechanisms.design import Design, nearest_sizes
from hushtally.client_sdk.mechanisms.galois import Field
from hushtally.client_sdk.mechanisms.primes import is_prime, primes_from
from hushtally.client_sdk.randomness import Randomness

MAX_FIELD_SIZE = math.isqrt(MAX_SYMBOLS)
MAX_VECTORS = 2**24  # of r^(t + 1) if t > 1: the aggregator decodes with Fourier transforms of this total size


@dataclass(frozen=True)
class Affine(Design):
    """A(r, w, t): the symbol (m - 1) r + s supports the value v if and only if m v - s < w in the field of size r.

    If t = 1, r >= domain is a prime or the square of an odd prime, and the multiplier m is one of the r - 1 non-zero
    elements of the field. The maps x -> m x - s are sharply 2-transitive. If t > 1, r is a prime with r^t >= domain.
    Values and multipliers are then vectors of t coordinates mod r, written as numbers in base r, and m v is their inner
    product. In both cases the supported sets are the blocks of a 2-design: w r^(t - 1) of the r^t values each. The
    variance is that of subset selection with sets of this size, but there are only r (r^t - 1) symbols.

    With z = w e^epsilon + r - w, p = w e^epsilon / z and
    q = w ((r^(t - 1) w - 1) e^epsilon + r^t - r^(t - 1) w) / ((r^t - 1) z). Park, Nam & Lee 2023; Pan 2026.
    """

    r: int
    w: int
    t: int = 1

    name: ClassVar[str] = "affine"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.t == 1 and not (self.domain <= self.r <= MAX_FIELD_SIZE and Field.exists(self.r)):
            valid = next(filter(Field.exists, count(self.domain)))
            raise MechanismError(
                f"r of affine must be a prime or the square of an odd prime, from {self.domain:,} (the number of "
                f"segments) to {MAX_FIELD_SIZE:,}, got {self.r:,}; use r = {valid:,}"
            )
        if self.t != 1 and not self._has_vectors:
            raise MechanismError(
                f"affine with t must have t >= 2, a prime r, r^t of at least {self.domain:,} (the number of segments) "
                f"and r^(t + 1) of at most {MAX_VECTORS:,}, got r = {self.r:,}, t = {self.t:,}"
            )
        if not 1 <= self.w < self.r:
            raise MechanismError(f"w of affine must be at least 1 and below r = {self.r:,}, got {self.w:,}")

    @property
    def _has_vectors(self) -> bool:
        """Whether r and t > 1 give enough vectors, and not too many."""
        small = 2 <= self.t < MAX_VECTORS.bit_length() and 2 <= self.r <= MAX_VECTORS
        return small and self.domain <= self.r**self.t <= MAX_VECTORS // self.r and is_prime(self.r)

    @classmethod
    def candidates(cls, domain: int, epsilon: float, max_symbols: int) -> Iterator[Self]:
        square = next(p * p for p in primes_from(3) if p * p >= domain)
        for r in (*islice(primes_from(domain), 3), square):
            if r * (r - 1) <= max_symbols:
                for w in nearest_sizes(r / (math.exp(epsilon) + 1), r - 1):
                    yield cls(domain, Weights.of(epsilon), r, w)

    @classmethod
    def vector_candidates(cls, domain: int, epsilon: float, max_symbols: int) -> Iterator[Self]:
        """The members with t > 1. They have far fewer symbols than t = 1, but more than a projective geometry."""
        for t in range(2, max_symbols.bit_length()):
            for r in primes_from(2):
                if r * (r**t - 1) > max_symbols:
                    break
                if r**t >= domain:
                    for w in nearest_sizes(r / (math.exp(epsilon) + 1), r - 1):
                        yield cls(domain, Weights.of(epsilon), r, w, t)

    @cached_property
    def field(self) -> Field:
        """The field of size r, in which differences are computed."""
        return Field(self.r)

    @cached_property
    def multipliers(self) -> int:
        """The number of multipliers: r^t - 1."""
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
        """The symbol with the multiplier row + 1 for which m v - s = offset."""
        return row * self.r + int(self.field.subtract(self.product(row, value), offset))

    def product(self, row: Any, value: Any) -> Any:
        """m v with m = row + 1. Takes integers or integer arrays."""
        if self.t == 1:
            return self.field.multiply(row + 1, value)
        total, multiplier = 0, row + 1
        for _ in range(self.t):
            multiplier, m_digit = divmod(multiplier, self.r)
            value, v_digit = divmod(value, self.r)
            total = total + m_digit * v_digit
        return total % self.r

    def supports(self, symbol: int, value: int) -> bool:
        row, start = divmod(symbol, self.r)
        return bool(self.field.subtract(self.product(row, value), start) < self.w)
