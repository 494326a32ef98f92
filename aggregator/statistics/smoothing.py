"""Smoothing: the share of one epoch from all epochs, if the analyst declares the largest change per epoch.

The interval contains the worst bias that the declared change allows. A test checks whether the data refute the
declaration. Donoho 1994; Armstrong & Kolesar 2018, 2020.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from scipy.special import chndtrix, ndtri

from hushtally.aggregator.errors import EstimateError
from hushtally.aggregator.intervals import Booleans, Floats, Interval
from hushtally.aggregator.statistics.epoch_shares import EpochShares, epoch_number, numbered, report_weights
from hushtally.aggregator.tally import Integers, Tally
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.questions import Question

REFUTATION_LEVEL = 0.05  # the largest probability that a true declaration is refuted for one segment
LARGE_BIAS = 5.0  # standard errors; above this bias, only one tail of the distribution matters
_GRID = np.linspace(0, LARGE_BIAS, 1_001)


@dataclass(frozen=True, eq=False)
class Smoothed:
    """The shares of one epoch, smoothed over its neighbours; arrays of shape (domain,).

    tables: the shares of all epochs, and of all groups if a gap is smoothed. own: the position of the table that is
    smoothed. coefficients, bias, errors: the weights of the tables, the worst bias and the standard error for several
    widths of smoothing; shapes (widths, tables), (widths, 1) and (widths, domain). refuted: the segments for which the
    data refute the declaration. They have the share of the epoch alone.
    """

    tables: EpochShares
    own: int
    coefficients: Floats
    bias: Floats
    errors: Floats
    refuted: Booleans

    @property
    def estimate(self) -> Floats:
        """The smoothed shares, as in the 95% interval."""
        return np.asarray(np.where(self.refuted, self.tables.shares[self.own], self._chosen(0.95)[0]))

    @property
    def standard_error(self) -> Floats:
        """The standard error of each share, without the bias that the interval allows for."""
        return np.asarray(np.where(self.refuted, self.tables.standard_error(self._alone), self._chosen(0.95)[2]))

    def confidence_interval(self, level: float = 0.95) -> Interval:
        """Return the interval of each share of the epoch. It is valid for every path that the declaration allows."""
        middle, half, _ = self._chosen(level)
        smoothed = Interval(middle - half, middle + half)
        if not self.refuted.any():
            return smoothed
        alone = self.tables.interval(self._alone, level)
        return Interval(*(np.where(self.refuted, *ends) for ends in zip(alone, smoothed, strict=True)))

    def _chosen(self, level: float) -> tuple[Floats, Floats, Floats]:
        """Return the estimate, the half width and the standard error of the shortest interval of each segment."""
        if level not in self._shortest:
            half = bias_aware(self.bias / self.errors, level) * self.errors
            best = half.argmin(axis=0)
            segments = np.arange(best.size)
            estimates = self.tables.estimate(self.coefficients)
            self._shortest[level] = estimates[best, segments], half[best, segments], self.errors[best, segments]
        return self._shortest[level]

    @cached_property
    def _shortest(self) -> dict[float, tuple[Floats, Floats, Floats]]:
        """The results of `_chosen` so far, by level."""
        return {}

    @property
    def _alone(self) -> Floats:
        return np.asarray(np.eye(len(self.tables.tables))[self.own])


def smooth_epoch(epochs: EpochShares, target: int, most: float, refuted: Booleans) -> Smoothed:
    """Smooth the epoch at the position `target` over its neighbours.

    The variance uses the shares of all epochs together, so the choice of a width does not depend on the estimate.
    """
    weights, bias = _triangles(epochs.times, epochs.reports, target, most)
    variance = (weights**2 / epochs.reports).sum(axis=1)[:, None] * epochs.variance(epochs.pooled)
    variance = variance + epochs.recurrence(weights)[:, None] * epochs.recurring
    return Smoothed(epochs, target, weights, bias, np.sqrt(np.maximum(variance, 0)), refuted)


def _triangles(times: Integers, reports: Integers, target: int, most: float) -> tuple[Floats, Floats]:
    """Return triangular weights of several widths around an epoch, (widths, epochs), and worst biases, (widths, 1)."""
    distance = np.abs(times - times[target])
    widths = np.unique(np.concatenate([distance + 0.5, distance + 1.0, [4.0 * distance.max() + 1]]))
    weights = reports * np.maximum(0, 1 - distance / widths[:, None])
    weights = weights / weights.sum(axis=1, keepdims=True)
    return weights, most * (weights @ distance)[:, None]


def bias_aware(bias: Floats, level: float) -> Floats:
    """Return the `level` quantile of |N(bias, 1)|: how many standard errors a biased interval needs."""
    return np.asarray(
        np.where(bias > LARGE_BIAS, bias + float(ndtri(level)), np.interp(bias, _GRID, _critical_values(level)))
    )


@cache
def _critical_values(level: float) -> Floats:
    """Return the critical values on the grid. Linear interpolation between them errs by less than 1e-5."""
    return np.asarray(np.sqrt(chndtrix(level, 1, _GRID**2)))


def refutes(epochs: EpochShares, most: float) -> Booleans:
    """Return, for each segment, whether adjacent blocks of epochs differ by more than `most` per epoch.

    A true declaration is refuted with probability REFUTATION_LEVEL at most.
    """
    blocks = _adjacent_blocks(epochs.times, epochs.reports)
    return _exceeds(epochs, blocks, most * (blocks @ epochs.times))


def _exceeds(tables: EpochShares, coefficients: Floats, allowed: Floats) -> Booleans:
    """Return, for each segment, whether any weighted sum is surely larger than allowed in absolute value."""
    if not len(coefficients):
        return np.zeros(tables.pooled.shape, dtype=bool)
    excess = (np.abs(tables.estimate(coefficients)) - allowed[:, None]) / tables.standard_error(coefficients)
    limit = -float(ndtri(REFUTATION_LEVEL / (2 * len(coefficients))))
    return np.asarray(excess.max(axis=0) > limit)


def _adjacent_blocks(times: Integers, reports: Integers) -> Floats:
    """Return the coefficients of the differences of adjacent blocks of 1, 2, 4, ... epochs; (differences, epochs)."""
    count = times.size
    place = np.arange(count)
    found = []
    length = 1
    while 2 * length <= count:
        for start in range(count - 2 * length + 1):
            first = report_weights(reports, (place >= start) & (place < start + length))
            second = report_weights(reports, (place >= start + length) & (place < start + 2 * length))
            found.append(second - first)
        length *= 2
    return np.array(found).reshape(-1, count)


def smooth(question: Question, survey: Survey, tallies: Mapping[str, Tally], most: float) -> dict[str, Smoothed]:
    """Smooth the shares of all customers in every epoch over its neighbours. The keys are the labels of the epochs.

    tallies: by the label of their epoch. most: the largest change of any share from one epoch to the next, such as
    0.005 for half a percentage point. The analyst declares it, because no method can learn it from the data and stay
    valid (Low 1997). Raises EstimateError without an epoch, and if most is not between 0 and 1.

    >>> from hushtally.survey.template import example
    >>> from datetime import date
    >>> survey = Survey.parse(example(date(2026, 11, 2)))
    >>> weeks = {f"2026-W{week}": Tally.of({0: 400, 1: 300, 2: 200, 3: 100}) for week in range(45, 49)}
    >>> for most in (0.005, 0.1):
    ...     low, high = smooth(survey.question("affinity"), survey, weeks, most)["2026-W48"].confidence_interval()
    ...     print(low.round(3), high.round(3))
    [ 0.697  0.367  0.04  -0.291] [ 0.802  0.466  0.127 -0.208]
    [ 0.656  0.328  0.004 -0.326] [ 0.842  0.505  0.164 -0.172]
    """
    if not 0 <= most < 1:
        raise EstimateError(f"the largest change of a share must be between 0 and 1, got {most:g}")
    epochs = EpochShares.of(question, numbered(survey, tallies), survey.privacy.answers_every)
    refuted = refutes(epochs, most)
    labels = sorted(tallies, key=lambda epoch: epoch_number(survey, epoch))
    return {label: smooth_epoch(epochs, target, most, refuted) for target, label in enumerate(labels)}


def smooth_gaps(
    question: Question, survey: Survey, groups: Sequence[Mapping[str, Tally]], most: float
) -> list[dict[str, Smoothed]]:
    """Smooth the gap of each group to all customers in every epoch, and return the shares of the groups.

    Changes that are common to all groups need no declaration. groups: the tallies of each group by the label of their
    epoch; only epochs in which every group has reports are smoothed and returned. most: the largest change of a gap
    from one epoch to the next. The share among all customers weights the groups by their reports in all epochs
    together. Raises EstimateError for fewer than two groups, without a common epoch, and if most is not between 0 and
    1.

    >>> from hushtally.survey.template import example
    >>> from datetime import date
    >>> survey = Survey.parse(example(date(2026, 11, 2)))
    >>> web = {f"2026-W{week}": Tally.of({0: 400, 1: 300, 2: 200, 3: 100}) for week in range(45, 49)}
    >>> ios = {f"2026-W{week}": Tally.of({0: 300, 1: 300, 2: 200, 3: 200}) for week in range(45, 49)}
    >>> of_web, of_ios = smooth_gaps(survey.question("affinity"), survey, [web, ios], 0.005)
    >>> low, high = of_web["2026-W48"].confidence_interval()
    >>> print(low.round(3), high.round(3))
    [ 0.669  0.34   0.017 -0.314] [ 0.829  0.492  0.15  -0.185]
    """
    if not 0 <= most < 1:
        raise EstimateError(f"the largest change of a gap must be between 0 and 1, got {most:g}")
    if len(groups) < 2:
        raise EstimateError(f"a gap needs at least two groups, got {len(groups)}")
    common = sorted(set.intersection(*map(set, groups)), key=lambda epoch: epoch_number(survey, epoch))
    every = survey.privacy.answers_every
    parts = [
        EpochShares.of(question, numbered(survey, {epoch: group[epoch] for epoch in common}), every) for group in groups
    ]
    count, times = len(common), parts[0].times
    tables = EpochShares(
        [table for part in parts for table in part.tables],
        np.tile(times, len(parts)),
        np.concatenate([part.panels + index * every for index, part in enumerate(parts)]),
    )
    totals = np.array([part.reports.sum() for part in parts], dtype=np.float64)
    whole = np.repeat(totals / totals.sum(), count)  # the weight of each table in the share of all customers
    found = []
    for index, part in enumerate(parts):
        mine = np.repeat(np.arange(len(parts)) == index, count)
        blocks = _adjacent_blocks(times, part.reports)
        refuted = _exceeds(tables, np.tile(blocks, len(parts)) * (mine - whole), most * (blocks @ times))
        of_epochs = {}
        for target, epoch in enumerate(common):
            weights, bias = _triangles(times, part.reports, target, most)
            rest = np.eye(count)[target] - weights
            coefficients = np.tile(weights, len(parts)) * mine + np.tile(rest, len(parts)) * whole
            errors = tables.standard_error(coefficients)
            of_epochs[epoch] = Smoothed(tables, index * count + target, coefficients, bias, errors, refuted)
        found.append(of_epochs)
    return found
