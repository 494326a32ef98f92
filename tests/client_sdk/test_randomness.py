"""Randomness: the rule from words to choices, and the system's source."""

from collections import Counter

import pytest

from hushtally.client_sdk.randomness import Randomness, SystemRandomness


class Words(Randomness):
    """Returns the given words in turn."""

    def __init__(self, *words: int) -> None:
        self.words = list(words)

    def word(self) -> int:
        return self.words.pop(0)


TOP = 2**64 - 1


@pytest.mark.parametrize(
    ("n", "words", "drawn"),
    [
        (1, [], 0),
        (2, [2**63 - 1], 0),
        (2, [2**63], 1),
        (3, [TOP, 2**63], 2),
        (3, [TOP, TOP, 2**62], 1),
        (2**64, [TOP], TOP),
        (2**64, [12345], 12345),
        (2**64 + 1, [2**63, 0], 2**64),
        (2**64 + 1, [TOP, TOP, 0, 7 << 63 & TOP], 1),
        (2**65, [TOP, TOP], 2**65 - 1),
        (2**128, [1, 2], 2**64 + 2),
        (10**30, [TOP, TOP, 0, TOP], TOP >> 28),
    ],
)
def test_the_rule_from_words_to_a_choice(n, words, drawn):
    """The top bits are used, a draw that is too large takes new words, and no word is left over."""
    source = Words(*words)
    assert source.below(n) == drawn
    assert source.words == []


@pytest.mark.parametrize("n", range(1, 17))
def test_every_choice_has_the_same_number_of_words(n):
    """Over all values of the top bits, the accepted ones are spread evenly over 0..n-1, so nothing is rounded."""
    bits = (n - 1).bit_length()
    drawn = Counter()
    for top in range(2**bits):
        source = Words(top << (64 - bits) if bits else 0, 0)
        drawn[source.below(n)] += len(source.words) == (1 if bits else 2)
    assert [drawn[value] for value in range(n)] == [1] * n


def test_a_coin_has_exact_odds():
    """The coin is True if the draw is below `favourable`."""
    assert [Words(top << 62).coin(3, 4) for top in range(4)] == [True, True, True, False]
    assert Words().coin(1, 1) is True
    assert Words().coin(0, 1) is False


def test_the_system_returns_64_bits():
    """Words of the system are below 2^64 and use the upper half (fails by chance 1 in 10^19)."""
    words = [SystemRandomness().word() for _ in range(64)]
    assert all(0 <= word < 2**64 for word in words)
    assert max(words) >= 2**63
    assert len(set(words)) == 64
