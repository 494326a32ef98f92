"""The design `affine`: a symbol supports the values that an affine map sends below w."""

from __future__ import annotations

from math import isqrt
from typing import Any

from reference_client.words import Words


class Affine:
    def __init__(self, description: dict[str, Any], d: int) -> None:
        self.r, self.w, self.t = description["r"], description["w"], description.get("t", 1)
        self.multipliers = self.r**self.t - 1
        self.symbols, self.per_value = self.r * self.multipliers, self.multipliers * self.w
        root = isqrt(self.r)
        self.p = root if root**2 == self.r else self.r  # digits are mod p

    def supports(self, symbol: int, v: int) -> bool:
        m, s = symbol // self.r + 1, symbol % self.r
        return self.difference(self.product(m, v), s) < self.w

    def draw(self, v: int, supporting: bool, words: Words) -> int:
        m = 1 + words.below(self.multipliers)
        x = words.below(self.w) if supporting else self.w + words.below(self.r - self.w)
        return (m - 1) * self.r + self.difference(self.product(m, v), x)

    def difference(self, a: int, b: int) -> int:
        p = self.p
        if p == self.r:
            return (a - b) % p
        return (a - b) % p + p * ((a // p - b // p) % p)

    def product(self, m: int, v: int) -> int:
        p, r = self.p, self.r
        if p == r:  # also for t = 1: the vectors have one coordinate
            return sum((m // r**place % r) * (v // r**place % r) for place in range(self.t)) % r
        n = next(n for n in range(2, p) if all(a * a % p != n for a in range(p)))
        (b, a), (d, c) = divmod(m, p), divmod(v, p)
        return (a * c + n * b * d) % p + p * ((a * d + b * c) % p)
