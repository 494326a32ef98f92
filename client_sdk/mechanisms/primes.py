"""Small prime numbers, for the parameters of mechanisms."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from math import isqrt


def is_prime(n: int) -> bool:
    """Whether n is prime. Trial division: fast enough up to 10^9."""
    return n >= 2 and all(n % k for k in range(2, isqrt(n) + 1))


def primes_from(n: int) -> Iterator[int]:
    """The primes from n on, in ascending order."""
    return filter(is_prime, count(n))
