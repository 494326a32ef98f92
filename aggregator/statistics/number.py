"""Numbers: the mean and the quantiles of a number for which the survey asks only the range between two edges.

Within its range, a number may lie anywhere. The data therefore determine only bounds, however many reports there are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from hushtally.aggregator.errors import EstimateError, NotEstimableError
from hushtally.aggregator.intervals import Floats, Interval, Population
from hushtally.aggregator.statistics.share_table import ShareTable
from hushtally.aggregator.tally import Tally
from hushtally.client_sdk.mechanisms import Mechanism
from hushtally.client_sdk.survey.questions import Question, Scale

ESTIMABLE = 4.0  # standard errors of the share of customers with a number; below, nothing is estimated
SMALLEST = 1e-300  # no standard error is zero, so that bounds can be compared with it


@dataclass(frozen=True, eq=False)
class Mean:
    """The mean of a number, which lies between the mean of the lower ends and the mean of the upper ends of the ranges.

    sums: the sum of the shares times the lower ends, the same of the upper ends, and the share of customers who count.
    covariance: of the three.
    """

    sums: Floats
    covariance: Floats

    @property
    def bounds(self) -> tuple[float, float]:
        """The estimates of the least and of the largest mean that the shares allow."""
        lower, upper, share = self.sums.tolist()
        return lower / share, upper / share

    @property
    def standard_errors(self) -> tuple[float, float]:
        """The standard errors of both bounds."""
        share = float(self.sums[2])
        errors = []
        for which, bound in enumerate(self.bounds):
            contrast = np.zeros(3)
            contrast[which], contrast[2] = 1, -bound
            errors.append(math.sqrt(max(float(contrast @ self.covariance @ contrast), 0)) / share)
        return errors[0], errors[1]

    def confidence_interval(self, level: float = 0.95) -> Interval:
        """Return the interval of the mean, not of its bounds. Imbens & Manski 2004, Stoye 2009; Fieller 1954.

        If the bounds are far apart, the interval can miss only one of them. Each bound then needs only one tail.
        """
        low, high = self.bounds
        scale = max(*self.standard_errors, SMALLEST)

        def excess(z: float) -> float:
            return float(ndtr(z + max(high - low, 0.0) / scale) - ndtr(-z)) - level

        z = float(brentq(excess, 0.0, 40.0))
        return Interval(np.asarray(self._end(0, z, -1)), np.asarray(self._end(1, z, 1)))

    def _end(self, which: int, z: float, side: int) -> float:
        """Return the value m on one side of a bound for which the sum - m share is z standard errors from zero."""
        value, share = float(self.sums[which]), float(self.sums[2])
        own, shared, both = (float(self.covariance[i, j]) for i, j in ((which, which), (2, 2), (which, 2)))
        square, product, rest = share**2 - z**2 * shared, value * share - z**2 * both, value**2 - z**2 * own
        if square <= 0:
            raise NotEstimableError("too few customers with a number to bound a mean")
        return (product + side * math.sqrt(max(product**2 - square * rest, 0))) / square


@dataclass(frozen=True, eq=False)
class Quantile:
    """One quantile of a number, between two edges.

    edges: the ends of the ranges in ascending order, one more than ranges. excess: for every range but the last, the
    share of customers up to its end, minus the fraction `at` of all customers who count. errors: the standard errors of
    `excess`.
    """

    at: float
    edges: Floats
    excess: Floats
    errors: Floats

    def confidence_interval(self, level: float = 0.95) -> Interval:
        """Return the interval of the quantile, from an edge to an edge.

        On each side, the interval leaves out ranges while a test excludes that the quantile is in them. It stops at the
        first range that the test does not exclude. Only one test on each side can be wrong, so the number of tests
        needs no correction.
        """
        z = float(ndtri((1 + level) / 2))
        above = self.excess + z * self.errors < 0  # the quantile is surely above the end of the range
        below = self.excess - z * self.errors > 0
        first = int(np.cumprod(above).sum())
        last = self.excess.size - int(np.cumprod(below[::-1]).sum())
        return Interval(self.edges[first], self.edges[max(last, first) + 1])


@dataclass(frozen=True, eq=False)
class Ranges:
    """The ranges of a number in ascending order.

    values: the value of each range in the domain. low, high: the ends of each range. The range of customers without a
    number has no width, if a number is stated for them.
    """

    values: Sequence[int]
    low: Floats
    high: Floats

    @classmethod
    def of(cls, form: Scale, cap: float, otherwise: float | None = None) -> Ranges:
        """Return the ranges of a question. cap: the end of the last range.

        otherwise: the number of customers in the segment for everyone else; None leaves them out. Raises EstimateError
        if the cap is not above the last edge, or `otherwise` is above the first.
        """
        edges = np.array([*form.edges, cap])
        if not cap > form.edges[-1] or not np.isfinite(cap):
            raise EstimateError(f"cap must be above the last edge {form.edges[-1]:g}, got {cap:g}")
        values = list(range(len(form.edges)))
        if otherwise is None:
            return cls(values, edges[:-1], edges[1:])
        if not otherwise <= form.edges[0]:
            raise EstimateError(f"otherwise must be at most the first edge {form.edges[0]:g}, got {otherwise:g}")
        return cls([len(values), *values], np.array([otherwise, *edges[:-1]]), np.array([otherwise, *edges[1:]]))

    def weights(self, domain: int, each: Floats) -> Floats:
        """Convert weights of the ranges to weights over the domain, of shape (..., domain)."""
        found = np.zeros((*each.shape[:-1], domain))
        found[..., list(self.values)] = each
        return found


def mean(question: Question | Mechanism, tally: Tally, ranges: Ranges, population: Population = "customers") -> Mean:
    """Estimate bounds of the mean of a number. A number above the cap counts as the cap.

    Raises EstimateError without a report; NotEstimableError if too few customers count.

    >>> from hushtally.client_sdk.mechanisms import Direct, Weights
    >>> ranges = Ranges([0, 1, 2], np.array([0, 20, 50]), np.array([20, 50, 100]))  # edges 0, 20, 50, and a cap of 100
    >>> found = mean(Direct(4, Weights.of(2.0)), Tally.of({0: 900, 1: 500, 2: 400, 3: 300}), ranges)
    >>> low, high = found.confidence_interval()
    >>> print(f"between {found.bounds[0]:.1f} and {found.bounds[1]:.1f}; 95% interval {low:.1f} to {high:.1f}")
    between 13.3 and 40.7; 95% interval 12.1 to 42.6
    """
    table = ShareTable.of(question, tally, population)
    weights = ranges.weights(table.mechanism.domain, np.array([ranges.low, ranges.high, np.ones(ranges.low.size)]))
    found = Mean(weights @ table.shares, table.covariance(weights))
    _require_numbers(float(found.sums[2]), float(found.covariance[2, 2]))
    return found


def quantile(
    question: Question | Mechanism,
    tally: Tally,
    ranges: Ranges,
    at: float = 0.5,
    population: Population = "customers",
) -> Quantile:
    """Estimate one quantile of a number. 0.5 is the median.

    Raises EstimateError without a report, and if `at` is not between 0 and 1; NotEstimableError if too few customers
    count.

    >>> from hushtally.client_sdk.mechanisms import Direct, Weights
    >>> ranges = Ranges([0, 1, 2], np.array([0, 20, 50]), np.array([20, 50, 100]))
    >>> median = quantile(Direct(4, Weights.of(2.0)), Tally.of({0: 900, 1: 500, 2: 400, 3: 300}), ranges)
    >>> low, high = median.confidence_interval()
    >>> print(f"{low:g} to {high:g}")
    0 to 20
    """
    if not 0 < at < 1:
        raise EstimateError(f"a quantile must be between 0 and 1, got {at:g}")
    table = ShareTable.of(question, tally, population)
    count = ranges.low.size
    counted = ranges.weights(table.mechanism.domain, np.ones((1, count)))
    _require_numbers(float((counted @ table.shares)[0]), float(table.covariance(counted)[0, 0]))
    weights = ranges.weights(table.mechanism.domain, np.tri(count)[:-1] - at)
    edges = np.array([ranges.low[0], *ranges.high])
    return Quantile(at, edges, weights @ table.shares, table.standard_errors(weights))


def _require_numbers(share: float, variance: float) -> None:
    if not share > 0 or share < ESTIMABLE * variance**0.5:
        raise NotEstimableError("too few customers with a number: their share is below 4 standard errors")
