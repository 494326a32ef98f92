"""Random words, and the exact choices that they become."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Coin = Sequence[int]  # k, n: true with probability k / n


class Words:
    """64-bit words from a vector, taken in order."""

    def __init__(self, words: Iterable[str]) -> None:
        self.left = [int(word, 16) for word in words]

    def below(self, n: int) -> int:
        bits = (n - 1).bit_length()
        while bits:
            taken = [self.left.pop(0) for _ in range(-(-bits // 64))]
            number = int("".join(f"{word:064b}" for word in taken)[:bits], 2)
            if number < n:
                return number
        return 0

    def coin(self, coin: Coin) -> bool:
        k, n = coin
        return self.below(n) < k

    def bits(self, coins: Iterable[Coin]) -> int:
        """One bit per coin, from the lowest bit up."""
        return sum(self.coin(coin) << place for place, coin in enumerate(coins))
