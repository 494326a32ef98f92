"""Finite fields, which affine designs compute in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import count
from math import isqrt
from typing import Any

from hushtally.client_sdk.mechanisms.primes import is_prime


@dataclass(frozen=True)
class Field:
    """The finite field with the r elements 0..r-1, where r is a prime or the square of an odd prime.

    If r = p^2, the element a + p b stands for a + b sqrt(n), where n is the smallest quadratic non-residue mod p. The
    methods also take integer arrays.
    """

    r: int

    @staticmethod
    def exists(r: int) -> bool:
        """Whether this class has a field with r elements."""
        root = isqrt(r)
        return is_prime(r) or (root**2 == r and root > 2 and is_prime(root))

    @cached_property
    def p(self) -> int:
        """The characteristic: digits are computed modulo this prime."""
        root = isqrt(self.r)
        return root if root**2 == self.r else self.r

    @cached_property
    def _nonresidue(self) -> int:
        squares = {a * a % self.p for a in range(self.p)}
        return next(n for n in count(2) if n not in squares)

    def multiply(self, a: Any, b: Any) -> Any:
        """The product of two elements."""
        p = self.p
        if p == self.r:
            return a * b % p
        a1, a0 = divmod(a, p)
        b1, b0 = divmod(b, p)
        return (a0 * b0 + self._nonresidue * a1 * b1) % p + p * ((a0 * b1 + a1 * b0) % p)

    def subtract(self, a: Any, b: Any) -> Any:
        """The difference of two elements."""
        p = self.p
        if p == self.r:
            return (a - b) % p
        return (a - b) % p + p * ((a // p - b // p) % p)
