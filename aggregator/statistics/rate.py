"""Rates: the share of customers with an outcome inside each segment of a crossed question."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from hushtally.aggregator.errors import EstimateError
from hushtally.aggregator.intervals import Booleans, Floats, Interval, Population
from hushtally.aggregator.statistics.share_table import ShareTable
from hushtally.aggregator.support_matrix import moments
from hushtally.aggregator.tally import Tally
from hushtally.client_sdk.mechanisms import Mechanism
from hushtally.client_sdk.mechanisms.channel import Channel
from hushtally.client_sdk.survey.questions import Question

ESTIMABLE = 4.0  # standard errors of a segment's share; below, the rate inside the segment cannot be estimated
GOOD = 6.0  # standard errors of a segment's share; below, the rate is weak
RAW_RANGE = (-1.0, 2.0)  # the range in which ends of an interval are searched; no rate beyond it is plausible
HALVINGS = 40


@dataclass(frozen=True, eq=False)
class Contrasts:
    """The distribution of A - r B for any rate r; A and N are the shares with and without the outcome, B = A + N.

    Each array has one entry for every segment. mean_yes, mean_no: how many values with and without the outcome a report
    supports on average; second_yes, second_no, product: the mean squares, and the mean product. values_yes, values_no:
    how many values each has.
    """

    channel: Channel
    n: int
    total: Floats
    mean_yes: Floats
    mean_no: Floats
    second_yes: Floats
    second_no: Floats
    product: Floats
    values_yes: Floats
    values_no: Floats

    def variance(self, rate: Floats) -> Floats:
        """Return the variance of A - r B if the true rate is r and customers are a sample of a larger population.

        The number of supports follows from r and from the share of the segment. Only how often a report supports two
        values at once comes from the reports. This makes the test a score test.
        """
        yes = self._supports(rate * self.total, self.values_yes)
        no = self._supports((1 - rate) * self.total, self.values_no)
        pairs_yes, pairs_no = self.second_yes - self.mean_yes, self.second_no - self.mean_no
        square = (1 - rate) ** 2 * (yes + pairs_yes) + rate**2 * (no + pairs_no) - 2 * rate * (1 - rate) * self.product
        mean = (1 - rate) * yes - rate * no
        return np.asarray(self.channel.covariance(square - mean**2, self.n))

    def _supports(self, share: Floats, values: Floats) -> Floats:
        """Return how many of some values with this total share a report supports on average."""
        return np.asarray(self.channel.observed(np.clip(share, 0, 1)) + (values - 1) * float(self.channel.q))


@dataclass(frozen=True, eq=False)
class Rates:
    """The rate of an outcome inside each segment; arrays of shape (segments,) in the order of the segments.

    n: the number of reports of the table. yes, total: the raw shares of customers with the outcome in the segment, and
    of all customers in the segment. covariance: of shape (2 segments, 2 segments); first the shares with the outcome of
    all segments, and then the shares without the outcome. contrasts: None for rappor.
    """

    n: int
    yes: Floats
    total: Floats
    covariance: Floats
    contrasts: Contrasts | None
    population: Population

    @cached_property
    def estimate(self) -> Floats:
        """The raw rates, which may lie outside 0 to 1; NaN for an empty segment."""
        empty = np.full(self.yes.shape, np.nan)
        return np.asarray(np.divide(self.yes, self.total, out=empty, where=self.total > 0))

    @cached_property
    def signal_to_noise(self) -> Floats:
        """The share of each segment, divided by its standard error."""
        count = self.yes.size
        sums = np.hstack([np.eye(count), np.eye(count)])
        variance = np.diag(sums @ self.covariance @ sums.T)
        return np.divide(self.total, np.sqrt(np.maximum(variance, 0)), out=np.zeros(count), where=variance > 0)

    @property
    def estimable(self) -> Booleans:
        """Whether the segment's share is at least ESTIMABLE standard errors, so that a rate inside it is meaningful."""
        return np.asarray(self.signal_to_noise >= ESTIMABLE)

    @property
    def weak(self) -> Booleans:
        """Whether the rate can be estimated, but the segment's share is less than GOOD standard errors."""
        return np.asarray(self.estimable & (self.signal_to_noise < GOOD))

    @cached_property
    def standard_error(self) -> Floats:
        """The standard error of each rate; NaN if the rate cannot be estimated."""
        known = np.where(self.estimable, self.estimate, 0.5)
        error = np.sqrt(self._variance(known)) / np.where(self.estimable, self.total, 1)
        return np.where(self.estimable, error, np.nan)

    def confidence_interval(self, level: float = 0.95) -> Interval:
        """Return the interval of each rate: all r for which A - r B is compatible with 0. NaN if not estimable.

        Fieller 1954, with the variance taken at r instead of at the estimate.
        """
        if level not in self._intervals:
            self._intervals[level] = self._interval(float(ndtri((1 + level) / 2)))
        return self._intervals[level]

    @cached_property
    def _intervals(self) -> dict[float, Interval]:
        """The intervals computed so far, by level."""
        return {}

    def _interval(self, z: float) -> Interval:
        centre = np.where(self.estimable, self.estimate, 0.5)
        inside = np.array([centre, centre])
        outside = np.array([np.minimum(RAW_RANGE[0], centre - 1), np.maximum(RAW_RANGE[1], centre + 1)])
        for _ in range(HALVINGS):
            middle = (outside + inside) / 2
            accepted = np.abs(self.yes - middle * self.total) <= z * np.sqrt(self._variance(middle))
            inside, outside = np.where(accepted, middle, inside), np.where(accepted, outside, middle)
        return Interval(*np.where(self.estimable, inside, np.nan))

    def _variance(self, rate: Floats) -> Floats:
        """Return the variance of A - r B for rates r. The last axis of `rate` is that of the segments."""
        if self.contrasts is not None:
            variance = self.contrasts.variance(rate)
            if self.population == "respondents":
                variance = variance - np.clip(rate * (1 - rate), 0, None) * np.clip(self.total, 0, 1) / self.n
        else:
            count = self.yes.size
            of_yes, of_no = np.diag(self.covariance)[:count], np.diag(self.covariance)[count:]
            both = np.diag(self.covariance[:count, count:])
            variance = (1 - rate) ** 2 * of_yes + rate**2 * of_no - 2 * rate * (1 - rate) * both
        return np.maximum(variance, 0)

    def _contrast(self, rate: Floats) -> Floats:
        """Return the weights of A - r B over the shares with the outcome, followed by the shares without it."""
        return np.hstack([np.diag(1 - rate), np.diag(-rate)])

    def correlation(self, first: int, second: int) -> float:
        """Return the correlation of the rates of two segments of this table."""
        contrast = self._contrast(np.nan_to_num(self.estimate))[[first, second]]
        covariance = contrast @ self.covariance @ contrast.T
        scale = math.sqrt(max(covariance[0, 0] * covariance[1, 1], 0))
        return float(np.clip(covariance[0, 1] / scale, -1, 1)) if scale else 0.0


@dataclass(frozen=True, eq=False)
class RateComparison:
    """Two rates side by side: segment `first` of one table, and segment `second` of the same or of another table.

    The errors of the rates of two tables are taken as independent. This assumes that no device reported in both.
    """

    rates: Rates
    first: int
    other: Rates
    second: int

    @cached_property
    def correlation(self) -> float:
        """The correlation of the errors of the two rates."""
        return self.rates.correlation(self.first, self.second) if self.rates is self.other else 0.0

    @property
    def estimable(self) -> bool:
        """Whether both rates can be estimated."""
        return bool(self.rates.estimable[self.first] and self.other.estimable[self.second])

    @property
    def weak(self) -> bool:
        """Whether both rates can be estimated, and one of them is weak."""
        return self.estimable and bool(self.rates.weak[self.first] or self.other.weak[self.second])

    @property
    def difference(self) -> float:
        """The first rate minus the second."""
        return float(self.rates.estimate[self.first] - self.other.estimate[self.second])

    @property
    def ratio(self) -> float:
        """The first rate divided by the second; infinite if the second is not positive."""
        second = float(self.other.estimate[self.second])
        return float(self.rates.estimate[self.first]) / second if second > 0 else math.inf

    @property
    def difference_error(self) -> float:
        """The standard error of the difference."""
        first, second = self.rates.standard_error[self.first], self.other.standard_error[self.second]
        return math.sqrt(first**2 + second**2 - 2 * self.correlation * first * second)

    def difference_interval(self, level: float = 0.95) -> Interval:
        """Return the interval of the difference, from both intervals and their correlation.

        MOVER: Zou & Donner 2008.
        """
        a, down, up = self._distances(self.rates, self.first, level)
        b, other_down, other_up = self._distances(self.other, self.second, level)
        below = down**2 + other_up**2 - 2 * self.correlation * down * other_up
        above = up**2 + other_down**2 - 2 * self.correlation * up * other_down
        return Interval(np.asarray(a - b - math.sqrt(below)), np.asarray(a - b + math.sqrt(above)))

    def ratio_interval(self, level: float = 0.95) -> Interval:
        """Return the interval of the ratio: all R for which the interval of (first rate - R second rate) contains 0.

        An end is infinite if the interval of the second rate contains 0. Donner & Zou 2012.
        """
        a, down, up = self._distances(self.rates, self.first, level)
        b, other_down, other_up = self._distances(self.other, self.second, level)
        low = _ratio_end(a, b, down, other_up, self.correlation, -1)
        high = _ratio_end(a, b, up, other_down, self.correlation, 1)
        return Interval(np.asarray(low), np.asarray(high))

    @staticmethod
    def _distances(rates: Rates, segment: int, level: float) -> tuple[float, float, float]:
        """Return a rate, and how far its interval reaches below and above it."""
        low, high = rates.confidence_interval(level)
        estimate = float(rates.estimate[segment])
        return estimate, estimate - float(low[segment]), float(high[segment]) - estimate


def _ratio_end(a: float, b: float, of_a: float, of_b: float, correlation: float, side: int) -> float:
    """Solve (a - R b)^2 = of_a^2 + R^2 of_b^2 - 2 correlation R of_a of_b for the R on one side of a / b."""
    square, product, rest = b**2 - of_b**2, a * b - correlation * of_a * of_b, a**2 - of_a**2
    if b <= 0 or square <= 0:
        return side * math.inf
    return (product + side * math.sqrt(max(product**2 - square * rest, 0))) / square


def rates(
    question: Question | Mechanism,
    tally: Tally,
    yes: Sequence[Sequence[int]] | ArrayLike,
    no: Sequence[Sequence[int]] | ArrayLike,
    population: Population = "customers",
) -> Rates:
    """Estimate the rate of an outcome inside each of several segments.

    yes, no: for every segment, the indexes of the values of the domain that are in the segment, with and without the
    outcome. Raises EstimateError if there is no report, or if a segment has no value with or without the outcome.

    Which share of the customers in the first segment came back? The values 0 and 1 are the first segment with and
    without the outcome. The values 2 and 3 are the second segment:

    >>> from hushtally.client_sdk.mechanisms import Direct, Weights
    >>> tally = Tally.of({0: 900, 1: 600, 2: 400, 3: 1_100})
    >>> found = rates(Direct(4, Weights.of(2.0)), tally, yes=[[0], [2]], no=[[1], [3]])
    >>> print(found.estimate.round(3), found.estimable)
    [0.663 0.121] [ True  True]
    >>> low, high = found.confidence_interval()
    >>> print(low.round(3), high.round(3))
    [0.622 0.084] [0.703 0.159]
    >>> low, high = RateComparison(found, 0, found, 1).difference_interval()
    >>> print(f"{low:.3f} to {high:.3f}")
    0.487 to 0.596
    """
    table = ShareTable.of(question, tally, population)
    groups = [list(map(int, group)) for group in (*np.asarray(yes, dtype=object), *np.asarray(no, dtype=object))]
    weights = np.zeros((len(groups), table.mechanism.domain))
    for row, group in zip(weights, groups, strict=True):
        row[group] = 1
    count = len(groups) // 2
    values = weights.sum(axis=1)
    if len(groups) != 2 * count or not values.all():
        raise EstimateError("a rate needs values with and without the outcome in every segment")
    shares = weights @ table.shares
    total = shares[:count] + shares[count:]
    covariance = table.covariance(weights)
    contrasts = None
    if table.regression is None:
        mean, second = moments(table.mechanism, tally, weights)
        square, yes_no = np.diag(second), np.diag(second[:count, count:])
        contrasts = Contrasts(
            table.mechanism.channel,
            tally.n,
            np.clip(total, 0, 1),
            *(mean[:count], mean[count:]),
            *(square[:count], square[count:], yes_no),
            *(values[:count], values[count:]),
        )
    return Rates(tally.n, shares[:count], total, covariance, contrasts, population)
