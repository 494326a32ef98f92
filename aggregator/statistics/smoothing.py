"""Smoothing: the share of one epoch with the help of its neighbours, if the share can move only so much an epoch.

The analyst declares the largest change. The interval contains the worst bias that this change allows, and the data are
asked whether they refute the declaration. Donoho 1994; Armstrong & Kolesar 2018, 2020.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from scipy.special import chndtrix, ndtri

from hushtally.aggregator.errors import EstimateError
from hushtally.aggregator.intervals import Booleans, Floats, Interval
from hushtally.aggregator.statistics.epoch_shares import EpochShares, epoch_number, numbered, report_weights
from hushtally.aggregator.tally import Tally
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.questions import Question

REFUTATION_LEVEL = 0.05  # how often a true declaration is refuted, at most, for one segment
LARGE_BIAS = 5.0  # standard errors; above, only one tail of the distribution counts
_GRID = np.linspace(0, LARGE_BIAS, 1_001)


@dataclass(frozen=True, eq=False)
class Smoothed:
    """The shares of one epoch, smoothed over its neighbours; arrays of shape (domain,).

    epochs: the shares of all epochs. target: the position of the epoch. most: the largest change of a share an epoch
    that the analyst declared. refuted: the segments for which the data refute the declaration; they have the share of
    the epoch alone.
    """

    epochs: EpochShares
    target: int
    most: float
    refuted: Booleans

    @cached_property
    def _candidates(self) -> tuple[Floats, Floats, Floats]:
        """Triangular weights of several widths, with their worst bias and standard error.

        Shapes (widths, epochs), (widths, 1) and (widths, domain). The variance is that of all epochs together, so that
        the choice of a width does not look at the estimate.
        """
        epochs = self.epochs
        distance = np.abs(epochs.times - epochs.times[self.target])
        widths = np.unique(np.concatenate([distance + 0.5, distance + 1.0, [4.0 * distance.max() + 1]]))
        weights = epochs.reports * np.maximum(0, 1 - distance / widths[:, None])
        weights = weights / weights.sum(axis=1, keepdims=True)
        variance = (weights**2 / epochs.reports).sum(axis=1)[:, None] * epochs.variance(epochs.pooled)
        recurrence = epochs.recurrence(weights)[:, None]
        error = np.sqrt(np.maximum(variance + recurrence * epochs.recurring, 0))
        return weights, self.most * (weights @ distance)[:, None], error

    @cached_property
    def _shortest(self) -> dict[float, tuple[Floats, Floats, Floats]]:
        """What `_chosen` found already, by level."""
        return {}

    def _chosen(self, level: float) -> tuple[Floats, Floats, Floats]:
        """The estimate, the half width and the standard error of the shortest interval of each segment."""
        if level not in self._shortest:
            self._shortest[level] = self._choose(level)
        return self._shortest[level]

    def _choose(self, level: float) -> tuple[Floats, Floats, Floats]:
        weights, bias, error = self._candidates
        half = bias_aware(bias / error, level) * error
        best = half.argmin(axis=0)
        segments = np.arange(best.size)
        estimates = weights @ self.epochs.shares
        return estimates[best, segments], half[best, segments], error[best, segments]

    @property
    def estimate(self) -> Floats:
        """The smoothed shares, as in the 95% interval."""
        return np.asarray(np.where(self.refuted, self.epochs.shares[self.target], self._chosen(0.95)[0]))

    @property
    def standard_error(self) -> Floats:
        """The standard error of each share, without the bias that the interval allows for."""
        return np.asarray(np.where(self.refuted, self.epochs.standard_error(self._own), self._chosen(0.95)[2]))

    def confidence_interval(self, level: float = 0.95) -> Interval:
        """The interval of each share of the epoch, valid for every path that the declaration allows."""
        middle, half, _ = self._chosen(level)
        smoothed = Interval(middle - half, middle + half)
        if not self.refuted.any():
            return smoothed
        alone = self.epochs.interval(self._own, level)
        return Interval(*(np.where(self.refuted, *ends) for ends in zip(alone, smoothed, strict=True)))

    @property
    def _own(self) -> Floats:
        return np.asarray(np.eye(self.epochs.times.size)[self.target])


def bias_aware(bias: Floats, level: float) -> Floats:
    """The `level` quantile of |N(bias, 1)|: how many standard errors an interval needs if its centre may be biased."""
    return np.asarray(
        np.where(bias > LARGE_BIAS, bias + float(ndtri(level)), np.interp(bias, _GRID, _critical_values(level)))
    )


@cache
def _critical_values(level: float) -> Floats:
    """The critical values at the biases of the grid; between them, linear interpolation errs by less than 1e-5."""
    return np.asarray(np.sqrt(chndtrix(level, 1, _GRID**2)))


def refutes(epochs: EpochShares, most: float) -> Booleans:
    """Whether the shares of any adjacent blocks of epochs differ by more than `most` an epoch, for each segment.

    A true declaration is refuted with probability REFUTATION_LEVEL at most.
    """
    blocks = _adjacent_blocks(epochs)
    if not len(blocks):
        return np.zeros(epochs.pooled.shape, dtype=bool)
    allowed = most * (blocks @ epochs.times)
    excess = (np.abs(epochs.estimate(blocks)) - allowed[:, None]) / epochs.standard_error(blocks)
    limit = -float(ndtri(REFUTATION_LEVEL / (2 * len(blocks))))
    return np.asarray(excess.max(axis=0) > limit)


def _adjacent_blocks(epochs: EpochShares) -> Floats:
    """The coefficients of the differences of adjacent blocks of 1, 2, 4, ... epochs; shape (differences, epochs)."""
    count = epochs.times.size
    place = np.arange(count)
    found = []
    length = 1
    while 2 * length <= count:
        for start in range(count - 2 * length + 1):
            first = report_weights(epochs.reports, (place >= start) & (place < start + length))
            second = report_weights(epochs.reports, (place >= start + length) & (place < start + 2 * length))
            found.append(second - first)
        length *= 2
    return np.array(found)


def smooth(question: Question, survey: Survey, tallies: Mapping[str, Tally], most: float) -> dict[str, Smoothed]:
    """The shares of all customers in every epoch, smoothed over its neighbours; by the label of the epoch.

    tallies: by the label of their epoch. most: the largest change of any share from one epoch to the next, such as
    0.005 for half a percentage point. It is declared: no method can learn it from the data and stay valid (Low 1997).
    Raises EstimateError without an epoch, and if most is not between 0 and 1.

    >>> from hushtally.survey.commands import example
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
    return {label: Smoothed(epochs, target, most, refuted) for target, label in enumerate(labels)}
