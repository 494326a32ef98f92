"""The source of randomness: the rule from words to draws exactly, the words themselves by statistics.

Every other part of an audit takes for granted that `below(n)` is uniform. Here it is checked: each pattern of words
must give the draw that the protocol defines, which rules out a biased, clamped, truncated or wrapped draw.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from random import Random

import numpy as np
from scipy.special import bdtr, bdtrc

from hushtally.client_sdk.randomness import Randomness

ALL_PATTERNS = 2**12  # up to this n, every pattern of the bits that count is tried
RANDOM_PATTERNS = 64  # and beyond it, this many besides the boundaries
SMALL = range(1, 258)
WORDS = 2**16  # real words that are looked at
FALSE_ALARM = 1e-9


def scripted(source: Randomness, words: Iterable[int]) -> Randomness:
    """A source that draws as `source` does, from words that are handed to it."""
    left = deque(words)
    kind = type(source)
    found: Randomness = object.__new__(type(kind.__name__, (kind,), {"word": lambda _: left.popleft()}))
    return found


def wrong_draws(source: Randomness, sizes: Iterable[int], random: Random) -> list[str]:
    """The first draw below n, or coin, that is not what the protocol defines for its words, as a breach.

    sizes: the n that the audited mechanisms draw below; small n and the boundaries of words are added.
    """
    boundaries = [2**power + more for power in (16, 31, 32, 53, 63, 64, 65, 128) for more in (-1, 0, 1)]
    for n in sorted({*SMALL, *boundaries, *sizes}):
        for pattern in _patterns(n, random):
            if breach := _wrong_draw(source, n, pattern, random):
                return [breach]
    return []


def _patterns(n: int, random: Random) -> Iterator[int]:
    """Values of the bits of a draw: all of them, or those around every boundary and random ones."""
    bits = (n - 1).bit_length()
    if 2**bits <= ALL_PATTERNS:
        yield from range(2**bits)
        return
    edges = {0, 1, n // 2, n - 2, n - 1, n, n + 1, 2**bits - 2, 2**bits - 1}
    yield from (edge for edge in sorted(edges) if 0 <= edge < 2**bits)
    for _ in range(RANDOM_PATTERNS):
        yield random.getrandbits(bits)


def _words(pattern: int, bits: int, random: Random) -> list[int]:
    """Random words whose leading bits are the pattern."""
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
        return f"a draw below {n:,} takes more random words than the protocol defines"
    if drawn != expected:
        return f"a draw below {n:,} gives {drawn:,} for words that must give {expected:,}: draws are biased"
    favourable = random.choice((expected, expected + 1))
    heads = scripted(source, words).coin(favourable, n)
    if heads != (expected < favourable):
        return f"a coin of {favourable:,} in {n:,} shows the wrong side: chances are biased"
    return None


def wrong_words(source: Randomness) -> list[str]:
    """What real words show against uniformity, as breaches: a biased or constant bit, repeated words, a pattern.

    A source of uniform words is called wrong with a chance of at most 1 in 10^8.
    """
    words = np.array([source.word() for _ in range(WORDS)], dtype=object)
    if any(not 0 <= word < 2**64 for word in words):
        return ["a random word is not an integer of 64 bits"]
    drawn = words.astype(np.uint64)
    if len(np.unique(drawn)) < WORDS - 1:
        return ["the source repeats its random words"]
    ones = [int((drawn >> np.uint64(bit) & np.uint64(1)).sum()) for bit in range(64)]
    kept = [int(((drawn[1:] ^ drawn[:-1]) >> np.uint64(bit) & np.uint64(1)).sum()) for bit in range(64)]
    for words_of, counts, trials in (("is 1", ones, WORDS), ("changes", kept, WORDS - 1)):
        for bit, count in enumerate(counts):
            if min(bdtr(count, trials, 0.5), bdtrc(count - 1, trials, 0.5)) < FALSE_ALARM / 256:
                return [f"bit {bit} of the random words {words_of} in {count:,} of {trials:,}: the source is biased"]
    return []
