"""How often each symbol came: all that estimates are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hushtally.aggregator.errors import EstimateError

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Tally:
    """Symbol counts of one cell, or of several merged ones, of one question. Made by `of`; `+` merges.

    symbols: sorted, each once; counts: how often each came, >= 1; both int64 arrays of the same length. Its size is
    that of the symbols that came, never that of all there are.
    """

    symbols: Integers
    counts: Integers

    @classmethod
    def of(cls, symbols: Mapping[int, int] | ArrayLike, counts: ArrayLike | None = None) -> Self:
        """From a mapping symbol -> count, from symbols with their counts, or from one symbol a report.

        In any order; a symbol may come several times. EstimateError for a negative symbol or count.
        """
        if isinstance(symbols, Mapping):
            return cls.of(list(symbols), list(symbols.values()))
        came = np.asarray(symbols, dtype=np.int64).ravel()
        times = np.ones_like(came) if counts is None else np.asarray(counts, dtype=np.int64).ravel()
        if came.shape != times.shape:
            raise EstimateError(f"symbols and counts must be as many, got {came.size} and {times.size}")
        if came.size and min(came.min(), times.min()) < 0:
            raise EstimateError("symbols and counts must not be negative")
        unique, where = np.unique(came, return_inverse=True)
        summed = np.zeros(unique.size, dtype=np.int64)
        np.add.at(summed, where, times)
        return cls(unique[summed > 0], summed[summed > 0])

    @classmethod
    def merge(cls, tallies: Iterable[Tally]) -> Self:
        """The tally of all their reports together."""
        parts = list(tallies)
        empty = np.empty(0, dtype=np.int64)
        return cls.of(
            np.concatenate([empty, *(part.symbols for part in parts)]),
            np.concatenate([empty, *(part.counts for part in parts)]),
        )

    @cached_property
    def n(self) -> int:
        """How many reports came."""
        return int(self.counts.sum())

    def __add__(self, other: Tally) -> Tally:
        return Tally.merge([self, other])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tally):
            return NotImplemented
        return np.array_equal(self.symbols, other.symbols) and np.array_equal(self.counts, other.counts)

    __hash__ = None  # type: ignore[assignment]

    def histogram(self, first: int, last: int) -> Integers:
        """The counts of the symbols first..last-1, zeros included; int64 array of shape (last - first,)."""
        begin, end = np.searchsorted(self.symbols, [first, last])
        dense = np.zeros(last - first, dtype=np.int64)
        dense[self.symbols[begin:end] - first] = self.counts[begin:end]
        return dense
