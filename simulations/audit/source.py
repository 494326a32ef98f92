"""Tests of the random source: exact tests of the draws from given words, and statistical tests of the words.

Every other part of an audit assumes that `below(n)` is uniform. These tests check this: each pattern of words must give
the draw that the protocol defines. They find biased, clamped, truncated and wrapped draws.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from random import Random

import numpy as np
from scipy.special import bdtr, bdtrc

from hushtally.client_sdk.randomness import Randomness

ALL_PATTERNS = 2**12  # a draw with at most this many bit patterns is tested with all of them
RANDOM_PATTERNS = 64  # other draws are tested with this many random patterns, and with the boundaries
SMALL = range(1, 258)  # every n that is always tested
WORDS = 2**16  # the number of real words to test
FALSE_ALARM = 1e-9


def scripted(source: Randomness, words: Iterable[int]) -> Randomness:
    """Return a source that draws like `source`, but uses the given words."""
    left = deque(words)
    kind = type(source)
    found: Randomness = object.__new__(type(kind.__name__, (kind,), {"word": lambda _: left.popleft()}))
    return found


def wrong_draws(source: Randomness, sizes: Iterable[int], random: Random) -> list[str]:
    """Return as a breach the first draw below n, or the first coin, that differs from the protocol.

    sizes: every n for which the audited mechanisms draw below n. Small n and word boundaries are always tested.
    """
    boundaries = [2**power + more for power in (16, 31, 32, 53, 63, 64, 65, 128) for more in (-1, 0, 1)]
    for n in sorted({*SMALL, *boundaries, *sizes}):
        for pattern in _patterns(n, random):
            if breach := _wrong_draw(source, n, pattern, random):
                return [breach]
    return []


def _patterns(n: int, random: Random) -> Iterator[int]:
    """Yield bit patterns of a draw below n: all patterns, or the patterns at the boundaries and random patterns."""
    bits = (n - 1).bit_length()
    if 2**bits <= ALL_PATTERNS:
        yield from range(2**bits)
        return
    edges = {0, 1, n // 2, n - 2, n - 1, n, n + 1, 2**bits - 2, 2**bits - 1}
    yield from (edge for edge in sorted(edges) if 0 <= edge < 2**bits)
    for _ in range(RANDOM_PATTERNS):
        yield random.getrandbits(bits)


def _words(pattern: int, bits: int, random: Random) -> list[int]:
    """Return words that start with the bits of the pattern; the other bits are random."""
    count = -(-bits // 64)
    spare = 64 * count - bits
    joined = pattern << spare | random.getrandbits(spare or 1) % 2**spare
    return [joined >> 64 * (count - 1 - index) & (2**64 - 1) for index in range(count)]


def _wrong_draw(source: Randomness, n: int, pattern: int, random: Random) -> str | None:
    bits = (n - 1).bit_length()
    accepted = random.randrange(n)
    words = [*(_words(pattern, bits, random) if bits else []), *(_words(accepted, bits, random) if bits else [])]
    expected = pattern if pattern < n else accepted
    try:
        drawn = scripted(source, words).below(n)
    except IndexError:
        return f"a draw below {n:,} takes more random words than the protocol allows"
    if drawn != expected:
        return f"a draw below {n:,} gives {drawn:,} instead of {expected:,} for the same words: draws are biased"
    favourable = random.choice((expected, expected + 1))
    heads = scripted(source, words).coin(favourable, n)
    if heads != (expected < favourable):
        return f"a coin with the probability {favourable:,} in {n:,} gives the wrong side: coins are biased"
    return None


def wrong_words(source: Randomness) -> list[str]:
    """Test real words. Return a breach for repeated words, or for a bit that is 1 or changes too often or too rarely.

    Uniform words fail the test with a probability of at most 1 in 10^8.
    """
    words = np.array([source.word() for _ in range(WORDS)], dtype=object)
    if any(not 0 <= word < 2**64 for word in words):
        return ["a random word is not an integer of 64 bits"]
    drawn = words.astype(np.uint64)
    if len(np.unique(drawn)) < WORDS - 1:
        return ["the source repeats its random words"]
    ones = [int((drawn >> np.uint64(bit) & np.uint64(1)).sum()) for bit in range(64)]
    changes = [int(((drawn[1:] ^ drawn[:-1]) >> np.uint64(bit) & np.uint64(1)).sum()) for bit in range(64)]
    for what, counts, trials in (("is 1", ones, WORDS), ("changes", changes, WORDS - 1)):
        for bit, count in enumerate(counts):
            if min(bdtr(count, trials, 0.5), bdtrc(count - 1, trials, 0.5)) < FALSE_ALARM / 256:
                return [f"bit {bit} of the random words {what} in {count:,} of {trials:,}: the source is biased"]
    return []
