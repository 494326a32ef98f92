"""From random words to exact choices."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from hushtally.client_sdk.mechanisms import Affine, Design, Direct, Permanent, Projective, Subset, Weights
from hushtally.client_sdk.randomness import SystemRandomness

Script = Callable[[Iterable[int]], Any]
ONE, TWO = Weights.of(1.0), Weights.of(2.0)


@pytest.mark.parametrize(
    ("n", "words", "drawn", "left"),
    [
        (1, [], 0, 0),  # nothing to choose takes no word
        (2, [1 << 63], 1, 0),  # the top bit decides
        (2, [(1 << 63) - 1], 0, 0),
        (3, [0b11 << 62, 0b10 << 62], 2, 0),  # 3 is not below 3: again
        (2**64, [2**64 - 1], 2**64 - 1, 0),
        (2**64 + 1, [2**63, 0, 2**63 - 1, 2**64 - 1, 5], 2**64 - 1, 1),  # 65 bits of two words; 2^64 itself is allowed
        (2**65, [2**63, 7 << 63], 2**64 + 1, 0),
    ],
)
def test_below(scripted: Script, n: int, words: list[int], drawn: int, left: int) -> None:
    """The top bits of as many words as it takes, most significant first; too large a number is drawn again."""
    words = [word % 2**64 for word in words]
    randomness = scripted(words)
    if n == 2**64 + 1:  # 2^63 0 is exactly 2^64, the largest number below n
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
def test_coin_at_its_threshold(scripted: Script, favourable: int, outcomes: int, word: int, heads: bool) -> None:
    """One below `favourable` is heads, `favourable` itself is not."""
    assert scripted([word]).coin(favourable, outcomes) is heads


@pytest.mark.parametrize(
    "mechanism", [Direct(4, ONE), Subset(6, ONE, 2), Affine(6, ONE, 7, 2), Projective(6, ONE, 2, 3)]
)
def test_mechanisms_at_their_threshold(scripted: Script, mechanism: Design) -> None:
    """The last word in favour gives a supporting symbol, the next one another."""
    c, others = mechanism.symbols_per_value, mechanism.symbols - mechanism.symbols_per_value
    supporting = ONE.near * c
    shift = 64 - (supporting + ONE.far * others - 1).bit_length()
    for value in range(mechanism.domain):
        last = scripted([(supporting - 1) << shift, 0, 0])
        first = scripted([supporting << shift, 0, 0])
        assert mechanism.supports(mechanism.perturb(value, last), value)
        assert not mechanism.supports(mechanism.perturb(value, first), value)


def test_gamma_at_its_threshold(scripted: Script) -> None:
    """The permanent symbol is sent while the word is below gamma 2^64, a blank from there on."""
    mechanism = Permanent(Direct(4, ONE), Direct(4, TWO))
    kept = int(mechanism.gamma * 2**64)
    assert mechanism.repeat(3, scripted([kept - 1])) == 3
    assert mechanism.repeat(3, scripted([kept, 0])) == 0


def test_the_system_gives_64_bits() -> None:
    """1,000 words stay in range and are not all short. Fails by chance 1 in 2^1000."""
    words = [SystemRandomness().word() for _ in range(1_000)]
    assert all(0 <= word < 2**64 for word in words)
    assert max(words) >= 2**63
