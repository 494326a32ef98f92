"""Ranking: which segments of one table differ, the rank of each, the largest, and the top k, all at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr

from hushtally.aggregator.errors import EstimateError
from hushtally.aggregator.intervals import Booleans, Floats, Interval, Population
from hushtally.aggregator.statistics.share_table import ShareTable
from hushtally.aggregator.tally import Integers, Tally
from hushtally.client_sdk.mechanisms import Mechanism
from hushtally.client_sdk.survey.questions import Question

_NODES = np.linspace(-9, 9, 2_001)  # of a standard normal variable
_DENSITY = np.exp(-(_NODES**2) / 2) / math.sqrt(2 * math.pi) * (_NODES[1] - _NODES[0])


@cache
def range_quantile(level: float, count: int) -> float:
    """Return the quantile of the largest difference of `count` independent normal variables, in standard deviations.

    This is the quantile of Tukey's studentized range with infinite degrees of freedom, divided by the root of 2.
    """

    def below(q: float) -> float:
        return float(count * _DENSITY @ (ndtr(_NODES + math.sqrt(2) * q) - ndtr(_NODES)) ** (count - 1))

    return _quantile(below, level)


@cache
def largest_quantile(level: float, count: int) -> float:
    """Return the quantile of the largest difference between count - 1 normal variables and one more. Dunnett 1955."""

    def below(q: float) -> float:
        return float(_DENSITY @ ndtr(_NODES + math.sqrt(2) * q) ** (count - 1))

    return _quantile(below, level)


def _quantile(below: Callable[[float], float], level: float) -> float:
    return float(brentq(lambda q: below(q) - level, 0.0, 12.0))


@dataclass(frozen=True, eq=False)
class Ranking:
    """The segments of one table, compared with each other; arrays in the order of the domain.

    shares: raw, of shape (d,). errors: the standard error of the difference of each two shares, of shape (d, d).
    Statements about all pairs hold at once, because they use Tukey's range. The estimates of a table have nearly equal
    correlations. For equal correlations, the range is exact in large surveys. Hsu 1996.
    """

    shares: Floats
    errors: Floats

    @property
    def differences(self) -> Floats:
        """The share of segment i minus that of segment j; shape (d, d)."""
        return np.asarray(self.shares[:, None] - self.shares)

    @property
    def estimate(self) -> Integers:
        """The rank of each segment by its raw share; 1 is the largest."""
        return np.asarray((self.shares > self.shares[:, None]).sum(axis=1) + 1)

    def larger(self, level: float = 0.95) -> Booleans:
        """Return whether segment i is larger than segment j, shape (d, d). All are right with probability `level`."""
        return np.asarray(self._statistic > range_quantile(level, self.shares.size))

    def confidence_interval(self, level: float = 0.95) -> Interval:
        """Return the ranks that each segment may have. All intervals hold with probability `level`."""
        larger = self.larger(level)
        return Interval(1.0 + larger.sum(axis=0), self.shares.size - 1.0 * larger.sum(axis=1))

    def difference_interval(self, level: float = 0.95) -> Interval:
        """Return the interval of every difference, shape (d, d). All intervals hold with probability `level`."""
        half = range_quantile(level, self.shares.size) * self.errors
        return Interval(self.differences - half, self.differences + half)

    def may_be_largest(self, level: float = 0.95) -> Booleans:
        """Return the segments that may be the largest. With probability `level`, the largest is among them."""
        statistic = self._statistic.copy()
        np.fill_diagonal(statistic, -np.inf)
        return np.asarray(statistic.max(axis=0) <= largest_quantile(level, self.shares.size))

    def top(self, k: int, level: float = 0.95) -> tuple[Booleans, Booleans]:
        """Return the segments that are surely among the k largest, and the segments that may be.

        With probability `level`, both sets are right at once. Raises EstimateError if k is not from 1 to the number of
        segments.
        """
        count = self.shares.size
        if not 1 <= k <= count:
            raise EstimateError(f"k must be from 1 to {count:,}, got {k:,}")
        larger = self.larger(level)
        return larger.sum(axis=1) >= count - k, larger.sum(axis=0) < k

    @property
    def _statistic(self) -> Floats:
        """The differences, divided by their standard errors."""
        zero = np.zeros(self.errors.shape)
        return np.asarray(np.divide(self.differences, self.errors, out=zero, where=self.errors > 0))


def ranking(question: Question | Mechanism, tally: Tally, population: Population = "customers") -> Ranking:
    """Compare the segments of a question with each other.

    Raises EstimateError if there is no report.

    >>> from hushtally.client_sdk.mechanisms import Direct, Weights
    >>> found = ranking(Direct(4, Weights.of(1.0)), Tally.of({0: 900, 1: 860, 2: 600, 3: 640}))
    >>> low, high = found.confidence_interval()
    >>> [(int(a), int(b)) for a, b in zip(low, high)]
    [(1, 2), (1, 2), (3, 4), (3, 4)]
    >>> found.may_be_largest()
    array([ True,  True, False, False])
    """
    table = ShareTable.of(question, tally, population)
    return Ranking(table.shares, np.sqrt(table.difference_variances()))
