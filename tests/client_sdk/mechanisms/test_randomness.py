"""Random words become exact choices."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from hushtally.client_sdk.mechanisms import Affine, Design, Direct, Permanent, Projective, Subset, Weights
from hushtally.client_sdk.randomness import SystemRandomness

Script = Callable[[Iterable[int]], Any]
EPSILON_1, EPSILON_2 = Weights.of(1.0), Weights.of(2.0)


@pytest.mark.parametrize(
    ("n", "words", "drawn", "left"),
    [
        (1, [], 0, 0),  # a single choice takes no word
        (2, [1 << 63], 1, 0),  # the top bit decides
        (2, [(1 << 63) - 1], 0, 0),
        (3, [0b11 << 62, 0b10 << 62], 2, 0),  # 3 is not below 3, so a new word is taken
        (2**64, [2**64 - 1], 2**64 - 1, 0),
        (2**64 + 1, [2**63, 0, 2**63 - 1, 2**64 - 1, 5], 2**64 - 1, 1),  # 65 bits of two words; 2^64 is allowed
        (2**65, [2**63, 7 << 63], 2**64 + 1, 0),
    ],
)
def test_below(scripted: Script, n: int, words: list[int], drawn: int, left: int) -> None:
    """`below` uses the top bits of as few words as possible, most significant first, and redraws too large numbers."""
    words = [word % 2**64 for word in words]
    randomness = scripted(words)
    if n == 2**64 + 1:  # the words 2^63, 0 give 2^64, the largest number below n
        assert randomness.below(n) == 2**64
        assert randomness.below(n) == drawn
    else:
        assert randomness.below(n) == drawn
    assert len(randomness.left) == left


@pytest.mark.parametrize(
    ("favourable", "outcomes", "word", "heads"),
    [
        (1, 3, 0, True),
        (1, 3, 1 << 62, False),
        (2**64 - 1, 2**64, 2**64 - 2, True),
        (2**64 - 1, 2**64, 2**64 - 1, False),
        (2**64, 2**64, 2**64 - 1, True),
        (0, 2**64, 0, False),
    ],
)
def test_a_coin_is_heads_below_the_threshold_only(
    scripted: Script, favourable: int, outcomes: int, word: int, heads: bool
) -> None:
    """The number below `favourable` is heads, and `favourable` itself is not."""
    assert scripted([word]).coin(favourable, outcomes) is heads


@pytest.mark.parametrize(
    "mechanism",
    [
        Direct(4, EPSILON_1),
        Subset(6, EPSILON_1, 2),
        Affine(6, EPSILON_1, 7, 2),
        Projective(6, EPSILON_1, 2, 3),
    ],
)
def test_a_mechanism_draws_a_supporting_symbol_below_the_threshold_only(scripted: Script, mechanism: Design) -> None:
    """The largest word below the threshold gives a supporting symbol, and the next word gives another symbol."""
    c, others = mechanism.symbols_per_value, mechanism.symbols - mechanism.symbols_per_value
    supporting = EPSILON_1.near * c
    shift = 64 - (supporting + EPSILON_1.far * others - 1).bit_length()
    for value in range(mechanism.domain):
        last = scripted([(supporting - 1) << shift, 0, 0])
        first = scripted([supporting << shift, 0, 0])
        assert mechanism.supports(mechanism.perturb(value, last), value)
        assert not mechanism.supports(mechanism.perturb(value, first), value)


def test_the_permanent_symbol_is_sent_below_gamma_only(scripted: Script) -> None:
    """A word below gamma 2^64 repeats the permanent symbol, and any other word gives a baseline symbol."""
    mechanism = Permanent(Direct(4, EPSILON_1), Direct(4, EPSILON_2))
    threshold = int(mechanism.gamma * 2**64)
    assert mechanism.repeat(3, scripted([threshold - 1])) == 3
    assert mechanism.repeat(3, scripted([threshold, 0])) == 0


def test_the_system_source_returns_64_bits() -> None:
    """1,000 words are in range, and not all of them are small. Fails by chance 1 in 2^1000."""
    words = [SystemRandomness().word() for _ in range(1_000)]
    assert all(0 <= word < 2**64 for word in words)
    assert max(words) >= 2**63
