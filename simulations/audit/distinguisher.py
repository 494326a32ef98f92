"""Distinguishers: events that may distinguish two values, counted in the client's reports."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from hushtally.aggregator.tally import Integers
from hushtally.client_sdk.mechanisms import Mechanism

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Distinguisher:
    """An event, and its counts among `trials` reports of a value that makes it likely and of another value."""

    name: str
    likely: int
    other: int
    trials: int

    def lower_bound(self, error: float) -> float:
        """Return a lower bound of the log ratio of the two probabilities. It is wrong with probability at most `error`.

        Each of the two rates has a Clopper-Pearson (1934) interval with half of the error.
        """
        low = betaincinv(self.likely, self.trials - self.likely + 1, error / 2) if self.likely else 0.0
        high = betaincinv(self.other + 1, self.trials - self.other, 1 - error / 2) if self.other < self.trials else 1.0
        return math.log(low / high) if low > 0 else -math.inf


def distinguishers(
    mechanism: Mechanism, pair: tuple[int, int], symbols: Mapping[int, Integers]
) -> Iterator[Distinguisher]:
    """Yield events that may distinguish the first value of the pair from the second. symbols: by value.

    The first event is that the report supports only the first value. The next events are the binary digits of the
    symbol, then sets of symbols. A quarter of the reports selects the sets. The other reports are counted.
    """
    likely, other = (symbols[value] for value in pair)
    yield _by_design(mechanism, pair, likely, other)
    yield from _by_digit(mechanism, pair, likely, other)
    yield from _by_symbol_set(mechanism, pair, likely, other)


def _by_design(mechanism: Mechanism, pair: tuple[int, int], likely: Integers, other: Integers) -> Distinguisher:
    hits = [
        int((supporting(mechanism, sent, pair[0]) & ~supporting(mechanism, sent, pair[1])).sum())
        for sent in (likely, other)
    ]
    return Distinguisher(f"the report supports value {pair[0]} and not value {pair[1]}", hits[0], hits[1], len(likely))


def _by_digit(
    mechanism: Mechanism, pair: tuple[int, int], likely: Integers, other: Integers
) -> Iterator[Distinguisher]:
    n = len(likely)
    for digit in range((mechanism.symbols - 1).bit_length()):
        ones = [int((sent >> digit & 1).sum()) for sent in (likely, other)]
        values = f"(value {pair[0]} rather than {pair[1]})"
        yield Distinguisher(f"binary digit {digit} of the symbol is 1 {values}", ones[0], ones[1], n)
        yield Distinguisher(f"binary digit {digit} of the symbol is 0 {values}", n - ones[0], n - ones[1], n)


def _by_symbol_set(
    mechanism: Mechanism, pair: tuple[int, int], likely: Integers, other: Integers
) -> Iterator[Distinguisher]:
    n = len(likely)
    quarter = n // 4
    symbols, inverse = np.unique(np.concatenate([likely[:quarter], other[:quarter]]), return_inverse=True)
    counts = [np.bincount(half, minlength=symbols.size) for half in (inverse[:quarter], inverse[quarter:])]
    rare = f"the symbol is one that, in a first sample, value {pair[1]} sent"
    for name, chosen in (
        (f"{rare} never", counts[1] == 0),
        (f"{rare} much less often than value {pair[0]}", counts[0] > float(mechanism.ratio) * counts[1]),
        (f"{rare} less often than value {pair[0]}", counts[0] > counts[1]),
    ):
        hits = [int(np.isin(sent[quarter:], symbols[chosen]).sum()) for sent in (likely, other)]
        yield Distinguisher(name, hits[0], hits[1], n - quarter)


def supporting(mechanism: Mechanism, symbols: Integers, value: int) -> Mask:
    """Return whether each symbol supports a value, as a bool array of the same shape."""
    distinct, inverse = np.unique(symbols, return_inverse=True)
    supports = np.array([mechanism.supports(symbol, value) for symbol in distinct.tolist()])
    return supports[inverse].reshape(symbols.shape)
