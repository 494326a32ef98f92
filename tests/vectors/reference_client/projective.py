"""The design `projective`: a symbol supports the values that are orthogonal to it."""

from __future__ import annotations

from typing import Any

from reference_client.words import Words


class Projective:
    def __init__(self, description: dict[str, Any], d: int) -> None:
        self.r, self.t = description["r"], description["t"]
        self.symbols, self.per_value = self.first(self.t), self.first(self.t - 1)

    def supports(self, symbol: int, v: int) -> bool:
        return self.product(self.vector(symbol), self.vector(v)) == 0

    def draw(self, v: int, supporting: bool, words: Words) -> int:
        r, t, vector = self.r, self.t, self.vector(v)
        free = 1 + words.below(r ** (t - 1) - 1) if supporting else words.below(r ** (t - 1))
        digits = [free // r**place % r for place in reversed(range(t - 1))]
        pivot = vector.index(1)
        wanted = 0 if supporting else 1
        candidates = ([*digits[:pivot], coordinate, *digits[pivot:]] for coordinate in range(r))
        u = next(one for one in candidates if self.product(one, vector) == wanted)
        multiples = ([factor * coordinate % r for coordinate in u] for factor in range(1, r))
        return self.index(next(one for one in multiples if next(filter(None, one)) == 1))

    def product(self, u: list[int], v: list[int]) -> int:
        return sum(a * b for a, b in zip(u, v, strict=True)) % self.r

    def first(self, m: int) -> int:
        """The index of the first canonical vector with m coordinates after its pivot."""
        return int((self.r**m - 1) // (self.r - 1))

    def index(self, vector: list[int]) -> int:
        after = vector[vector.index(1) + 1 :]
        return self.first(len(after)) + sum(a * self.r**place for place, a in enumerate(reversed(after)))

    def vector(self, index: int) -> list[int]:
        """The canonical vector with this index."""
        m = max(m for m in range(self.t) if self.first(m) <= index)
        tail = index - self.first(m)
        return [0] * (self.t - 1 - m) + [1] + [tail // self.r**place % self.r for place in reversed(range(m))]
