"""Sources of randomness, and the rule that turns random words into exact choices."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod


class Randomness(ABC):
    """A source of uniform 64-bit words, passed to everything that draws.

    The rule from words to choices is a contract for clients in other languages; the test vectors state it. A draw
    below n uses ceil(bits / 64) words, most significant first, and `bits` is the length of n - 1. It takes the top
    `bits` bits, and repeats with new words until the result is below n. A draw below 1 uses no word.
    """

    @abstractmethod
    def word(self) -> int:
        """Return the next uniform integer in [0, 2**64)."""

    def below(self, n: int) -> int:
        """Return a uniform integer in [0, n), n >= 1, without rounding."""
        bits = (n - 1).bit_length()
        if bits <= 64:
            if bits == 0:
                return 0
            while True:
                drawn = self.word() >> (64 - bits)
                if drawn < n:
                    return drawn
        words = -(-bits // 64)
        while True:
            drawn = 0
            for _ in range(words):
                drawn = drawn << 64 | self.word()
            drawn >>= 64 * words - bits
            if drawn < n:
                return drawn

    def coin(self, favourable: int, outcomes: int) -> bool:
        """Return True with probability exactly favourable / outcomes: if a draw below `outcomes` is < `favourable`."""
        return self.below(outcomes) < favourable


class SystemRandomness(Randomness):
    """The operating system's source. A device uses no other."""

    def word(self) -> int:
        return int.from_bytes(os.urandom(8), "big")
