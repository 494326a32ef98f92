"""Projective geometry: values and symbols are points of one space; a symbol supports the values orthogonal to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import ClassVar, Self

from hushtally.client_sdk.errors import MechanismError
from hushtally.client_sdk.mechanisms.base import Weights
from hushtally.client_sdk.mechanisms.design import Design
from hushtally.client_sdk.mechanisms.primes import is_prime
from hushtally.client_sdk.randomness import Randomness

MOST_VECTORS = 2**26  # r^t: the aggregator decodes by one Fourier transform over all vectors


@dataclass(frozen=True)
class Projective(Design):
    """P(r, t): symbol u supports value v iff <u, v> = 0 mod r, both canonical vectors of t coordinates; r prime.

    A vector is canonical when its first non-zero coordinate, the pivot, is 1; one stands for its r - 1 multiples. Its
    index is (r^m - 1) / (r - 1) + tail, where the m coordinates after the pivot, read as a number in base r, are the
    tail. Value v of the domain is the vector with index v. Feldman, Nelson, Nguyen & Talwar 2022.
    """

    r: int
    t: int

    name: ClassVar[str] = "projective"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.r <= MOST_VECTORS and is_prime(self.r)):
            raise MechanismError(f"projective needs a prime r, got {self.r}")
        if not (2 <= self.t < MOST_VECTORS.bit_length() and self.r**self.t <= MOST_VECTORS):
            raise MechanismError(
                f"projective needs t >= 2 and r^t of at most {MOST_VECTORS:,}, got r = {self.r}, t = {self.t}"
            )
        if self.symbols < self.domain:
            raise MechanismError(
                f"projective needs (r^t - 1) / (r - 1) of at least {self.domain:,}, the number of values; "
                f"r = {self.r}, t = {self.t} give {self.symbols:,}"
            )

    @classmethod
    def candidates(cls, domain: int, epsilon: float, most_symbols: int) -> Iterator[Self]:
        for t in range(2, MOST_VECTORS.bit_length()):
            fitting = [r for r in _primes(t) if domain <= _points(r, t) <= most_symbols]
            # For a given t the variance falls to its least value and then rises with r.
            low, high = 0, len(fitting) - 1
            while low < high:
                middle = (low + high) // 2
                left, right = (cls(domain, Weights.of(epsilon), r, t) for r in fitting[middle : middle + 2])
                if left.mean_variance() <= right.mean_variance():
                    high = middle
                else:
                    low = middle + 1
            for r in fitting[low : low + 1]:
                yield cls(domain, Weights.of(epsilon), r, t)

    @property
    def symbols(self) -> int:
        return _points(self.r, self.t)

    @property
    def symbols_per_value(self) -> int:
        return _points(self.r, self.t - 1)

    @property
    def symbols_per_pair(self) -> int:
        return _points(self.r, self.t - 2)

    @property
    def parameters(self) -> Mapping[str, object]:
        return {"r": self.r, "t": self.t}

    @cached_property
    def _free(self) -> int:
        return int(self.r ** (self.t - 1))

    def draw_supporting(self, value: int, randomness: Randomness) -> int:
        return self._symbol(value, randomness.below(self._free - 1) + 1, 0)

    def draw_other(self, value: int, randomness: Randomness) -> int:
        return self._symbol(value, randomness.below(self._free), 1)

    def _symbol(self, value: int, free: int, product: int) -> int:
        """The symbol of the vector u with <u, v> = product that has the digits of `free` outside v's pivot.

        Every vector orthogonal to v but 0 comes once, and of every other point the one multiple whose product is 1.
        """
        r = self.r
        digits = []
        tail, m = self._tail(value)
        for _ in range(m):
            free, digit = divmod(free, r)
            tail, coordinate = divmod(tail, r)
            product -= digit * coordinate
            digits.append(digit)
        digits.append(product % r)
        while free:
            free, digit = divmod(free, r)
            digits.append(digit)
        while not digits[-1]:
            digits.pop()
        inverse = pow(digits.pop(), -1, r)
        index = 0
        for digit in reversed(digits):
            index = index * r + digit * inverse % r
        return index + self._firsts[len(digits)]

    @cached_property
    def _firsts(self) -> list[int]:
        """The least index of a vector with m coordinates after its pivot, at [m]."""
        return [_points(self.r, m) for m in range(self.t)]

    def _tail(self, index: int) -> tuple[int, int]:
        m = self.t - 1
        while self._firsts[m] > index:
            m -= 1
        return index - self._firsts[m], m

    def vector(self, index: int) -> list[int]:
        """The canonical vector with this index, as t coordinates."""
        tail, m = self._tail(index)
        after = [tail // self.r**j % self.r for j in reversed(range(m))]
        return [0] * (self.t - 1 - m) + [1] + after

    def supports(self, symbol: int, value: int) -> bool:
        return sum(map(int.__mul__, self.vector(symbol), self.vector(value))) % self.r == 0


def _points(r: int, t: int) -> int:
    """How many canonical vectors of t coordinates there are."""
    return int((r**t - 1) // (r - 1))


@cache
def _primes(t: int) -> tuple[int, ...]:
    """The primes r with r^t within MOST_VECTORS."""
    found = []
    r = 2
    while r**t <= MOST_VECTORS:
        if is_prime(r):
            found.append(r)
        r += 1
    return tuple(found)
