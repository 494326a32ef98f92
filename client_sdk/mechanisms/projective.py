"""Projective geometry: values and symbols are points of a projective space; orthogonal points support each other."""

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

MAX_VECTORS = 2**26  # of r^t: the aggregator decodes with one Fourier transform over all vectors


@dataclass(frozen=True)
class Projective(Design):
    """P(r, t): the symbol u supports the value v if and only if <u, v> = 0 mod r, where r is a prime.

    Symbols and values are canonical vectors of t coordinates. A vector is canonical if its first non-zero coordinate
    (the pivot) is 1. One canonical vector represents its r - 1 non-zero multiples. Its index is
    (r^m - 1) / (r - 1) + tail, where the tail is the m coordinates after the pivot, read as a number in base r. Value v
    of the domain is the vector with index v.

    With c = (r^(t - 1) - 1) / (r - 1), i = (r^(t - 2) - 1) / (r - 1) and z = c e^epsilon + r^(t - 1),
    p = c e^epsilon / z and q = (i e^epsilon + r^(t - 2)) / z. Feldman, Nelson, Nguyen & Talwar 2022.
    """

    r: int
    t: int

    name: ClassVar[str] = "projective"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.r <= MAX_VECTORS and is_prime(self.r)):
            raise MechanismError(f"r of projective must be a prime of at most {MAX_VECTORS:,}, got {self.r:,}")
        if not (2 <= self.t < MAX_VECTORS.bit_length() and self.r**self.t <= MAX_VECTORS):
            raise MechanismError(
                f"projective must have t >= 2 and r^t of at most {MAX_VECTORS:,}, got r = {self.r:,}, t = {self.t:,}"
            )
        if self.symbols < self.domain:
            raise MechanismError(
                f"(r^t - 1) / (r - 1) of projective must be at least {self.domain:,} (the number of segments), "
                f"got {self.symbols:,} from r = {self.r:,}, t = {self.t:,}; increase r or t"
            )

    @classmethod
    def candidates(cls, domain: int, epsilon: float, max_symbols: int) -> Iterator[Self]:
        for t in range(2, MAX_VECTORS.bit_length()):
            primes = [r for r in _primes(t) if domain <= _points(r, t) <= max_symbols]
            # For a given t the variance has a single minimum in r, so a binary search finds it.
            low, high = 0, len(primes) - 1
            while low < high:
                middle = (low + high) // 2
                left, right = (cls(domain, Weights.of(epsilon), r, t) for r in primes[middle : middle + 2])
                if left.mean_variance() <= right.mean_variance():
                    high = middle
                else:
                    low = middle + 1
            for r in primes[low : low + 1]:
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
        """The number of vectors of t - 1 free coordinates."""
        return int(self.r ** (self.t - 1))

    def draw_supporting(self, value: int, randomness: Randomness) -> int:
        return self._symbol(value, randomness.below(self._free - 1) + 1, 0)

    def draw_other(self, value: int, randomness: Randomness) -> int:
        return self._symbol(value, randomness.below(self._free), 1)

    def _symbol(self, value: int, free: int, product: int) -> int:
        """The symbol of the vector u with <u, v> = product and, outside v's pivot, the digits of `free` as coordinates.

        With product 0, every non-zero vector that is orthogonal to v results once. With product 1, every other point
        results once, by its one multiple with this product.
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
        """[m] is the smallest index of a vector with m coordinates after its pivot."""
        return [_points(self.r, m) for m in range(self.t)]

    def _tail(self, index: int) -> tuple[int, int]:
        """The tail of the vector with this index, and the number of coordinates in the tail."""
        m = self.t - 1
        while self._firsts[m] > index:
            m -= 1
        return index - self._firsts[m], m

    def vector(self, index: int) -> list[int]:
        """The canonical vector with this index, as a list of t coordinates."""
        tail, m = self._tail(index)
        after = [tail // self.r**j % self.r for j in reversed(range(m))]
        return [0] * (self.t - 1 - m) + [1] + after

    def supports(self, symbol: int, value: int) -> bool:
        return sum(map(int.__mul__, self.vector(symbol), self.vector(value))) % self.r == 0


def _points(r: int, t: int) -> int:
    """The number of canonical vectors of t coordinates."""
    return int((r**t - 1) // (r - 1))


@cache
def _primes(t: int) -> tuple[int, ...]:
    """The primes r with r^t of at most MAX_VECTORS."""
    found = []
    r = 2
    while r**t <= MAX_VECTORS:
        if is_prime(r):
            found.append(r)
        r += 1
    return tuple(found)
