"""Where randomness comes from, and the one rule that turns random words into exact choices."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod


class Randomness(ABC):
    """A source of uniform 64-bit words, handed to whatever draws.

    The rule from words to choices is a contract for clients in other languages (the test vectors fix it): a draw
    below n takes ceil(bits/64) words, most significant first, where bits is the length of n - 1; it keeps the top
    `bits` bits and starts again with new words while the result is not below n. A draw below 1 takes no word.
    """

    @abstractmethod
    def word(self) -> int:
        """The next uniform integer in [0, 2**64)."""

    def below(self, n: int) -> int:
        """A uniform integer in [0, n), n >= 1, without any rounding."""
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
        """True with probability favourable / outcomes exactly: a draw below `outcomes` fell below `favourable`."""
        return self.below(outcomes) < favourable


class SystemRandomness(Randomness):
    """The operating system's source: the only one that a device uses."""

    def word(self) -> int:
        return int.from_bytes(os.urandom(8), "big")
