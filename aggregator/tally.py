"""Tallies: how often each symbol was reported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hushtally.aggregator.errors import EstimateError

Integers = NDArray[np.int64]

MAX_REPORTS = 2**53  # up to here, a float holds every count exactly


@dataclass(frozen=True, eq=False)
class Tally:
    """The counts of symbols of one question, in one cell or several merged cells. Create it with `of`, merge with `+`.

    symbols: sorted and distinct; counts: how often each symbol was reported, >= 1; int64 arrays of the same length.
    The length is the number of distinct symbols in the reports, not the number of symbols of the mechanism.
    """

    symbols: Integers
    counts: Integers

    @classmethod
    def of(cls, symbols: Mapping[int, int] | ArrayLike, counts: ArrayLike | None = None) -> Self:
        """Create the tally of a mapping symbol -> count, of symbols with their counts, or of one symbol per report.

        The symbols may be in any order and may repeat. Raises EstimateError for a negative symbol or count, for more
        than MAX_REPORTS reports, and if the numbers of counts and symbols differ.
        """
        if isinstance(symbols, Mapping):
            return cls.of(list(symbols), list(symbols.values()))
        reported = np.asarray(symbols, dtype=np.int64).ravel()
        times = np.ones_like(reported) if counts is None else np.asarray(counts, dtype=np.int64).ravel()
        if reported.shape != times.shape:
            raise EstimateError(f"there must be as many counts as symbols, got {times.size} and {reported.size}")
        if reported.size and min(reported.min(), times.min()) < 0:
            raise EstimateError("symbols and counts must not be negative")
        if times.size and float(times.sum(dtype=np.float64)) > MAX_REPORTS:
            raise EstimateError(f"a tally has at most 2^53 reports, got {times.sum(dtype=np.float64):.4g}")
        distinct, index = np.unique(reported, return_inverse=True)
        sums = np.zeros(distinct.size, dtype=np.int64)
        np.add.at(sums, index, times)
        return cls(distinct[sums > 0], sums[sums > 0])

    @classmethod
    def merge(cls, tallies: Iterable[Tally]) -> Self:
        """Merge the reports of all tallies into one tally."""
        parts = list(tallies)
        empty = np.empty(0, dtype=np.int64)
        return cls.of(
            np.concatenate([empty, *(part.symbols for part in parts)]),
            np.concatenate([empty, *(part.counts for part in parts)]),
        )

    @cached_property
    def n(self) -> int:
        """The number of reports."""
        return int(self.counts.sum())

    def __add__(self, other: Tally) -> Tally:
        return Tally.merge([self, other])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tally):
            return NotImplemented
        return np.array_equal(self.symbols, other.symbols) and np.array_equal(self.counts, other.counts)

    __hash__ = None  # type: ignore[assignment]

    def histogram(self, first: int, last: int) -> Integers:
        """Return the counts of the symbols first..last-1, including zeros; int64 array of shape (last - first,)."""
        begin, end = np.searchsorted(self.symbols, [first, last])
        dense = np.zeros(last - first, dtype=np.int64)
        dense[self.symbols[begin:end] - first] = self.counts[begin:end]
        return dense
