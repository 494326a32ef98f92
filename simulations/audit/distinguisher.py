"""Distinguishers: events that may tell two values apart, counted in what devices sent."""

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
    """An event that may be true of what a device sends, and how often it was, of so many, for two values."""

    name: str
    likely: int
    other: int
    trials: int

    def lower_bound(self, error: float) -> float:
        """What the event's log ratio is at least, but for an error of so much: Clopper-Pearson on both sides."""
        low = betaincinv(self.likely, self.trials - self.likely + 1, error / 2) if self.likely else 0.0
        high = betaincinv(self.other + 1, self.trials - self.other, 1 - error / 2) if self.other < self.trials else 1.0
        return math.log(low / high) if low > 0 else -math.inf


def distinguishers(
    mechanism: Mechanism, pair: tuple[int, int], sent: Mapping[int, Integers]
) -> Iterator[Distinguisher]:
    """What may tell two values apart: the event that the mechanism is made for, every binary digit of the symbol, and
    sets of symbols that a quarter of the reports, which then count no more, suggest."""
    likely, other = (sent[value] for value in pair)
    n = len(likely)
    told = [supporting(mechanism, one, pair[0]) & ~supporting(mechanism, one, pair[1]) for one in (likely, other)]
    yield Distinguisher(f"value {pair[0]} is supported and {pair[1]} is not", int(told[0].sum()), int(told[1].sum()), n)
    for digit in range((mechanism.symbols - 1).bit_length()):
        ones = [int((one >> digit & 1).sum()) for one in (likely, other)]
        yield Distinguisher(
            f"binary digit {digit} of the symbol is 1 (value {pair[0]}, not {pair[1]})", ones[0], ones[1], n
        )
        yield Distinguisher(
            f"binary digit {digit} of the symbol is 0 (value {pair[0]}, not {pair[1]})", n - ones[0], n - ones[1], n
        )
    quarter = n // 4
    symbols, where = np.unique(np.concatenate([likely[:quarter], other[:quarter]]), return_inverse=True)
    counts = [np.bincount(one, minlength=symbols.size) for one in (where[:quarter], where[quarter:])]
    for words, chosen in (
        ("never", counts[1] == 0),
        ("too seldom", counts[0] > float(mechanism.ratio) * counts[1]),
        ("less often", counts[0] > counts[1]),
    ):
        hits = [int(np.isin(one[quarter:], symbols[chosen]).sum()) for one in (likely, other)]
        yield Distinguisher(
            f"the symbol is one that value {pair[1]} sent {words} beside {pair[0]}", hits[0], hits[1], n - quarter
        )


def supporting(mechanism: Mechanism, sent: Integers, value: int) -> Mask:
    """Which of the symbols support a value; bool array of the same shape."""
    symbols, where = np.unique(sent, return_inverse=True)
    return np.array([mechanism.supports(symbol, value) for symbol in symbols.tolist()])[where].reshape(sent.shape)
