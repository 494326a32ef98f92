"""RAPPOR: a hash group and the randomized bits of a Bloom filter."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from reference_client.words import Coin, Words


class Rappor:
    def __init__(self, description: dict[str, Any]) -> None:
        self.k, self.h, self.m = (description[name] for name in ("k", "h", "m"))
        self.permanent_coins = description["permanent_unset"], description["permanent_set"]
        self.report_coins = description["unset"], description["set"]

    def bits(self, group: int, v: int) -> int:
        """The bits that a value sets in a group."""
        texts = [f"rappor/{group}/{number}/{v}" for number in range(self.h)]
        hashes = (int.from_bytes(sha256(text.encode("ascii")).digest()[:8], "big") for text in texts)
        return sum({2 ** (number % self.k) for number in hashes})

    def supports(self, symbol: int, v: int) -> bool:
        group, bits = divmod(symbol, 2**self.k)
        return self.bits(group, v) & ~bits == 0

    def draw(self, v: int, previous: int | None, words: Words) -> int:
        group = words.below(self.m) if previous is None else previous // 2**self.k
        return self.randomized(group, self.bits(group, v), self.permanent_coins, words)

    def repeat(self, permanent: int, words: Words) -> int:
        return self.randomized(*divmod(permanent, 2**self.k), self.report_coins, words)

    def randomized(self, group: int, bits: int, coins: tuple[Coin, Coin], words: Words) -> int:
        return group * 2**self.k + words.bits(coins[bits >> place & 1] for place in range(self.k))
