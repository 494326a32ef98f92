"""Trends: the slope of the best line through the shares of several epochs, and a test of whether they changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import chdtrc

from hushtally.aggregator.errors import EstimateError
from hushtally.aggregator.intervals import Floats, Interval, Population
from hushtally.aggregator.statistics.epoch_shares import EpochShares, numbered
from hushtally.aggregator.tally import Tally
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.questions import Question


@dataclass(frozen=True, eq=False)
class Trend:
    """The slope of every share, in shares per epoch; arrays of shape (domain,).

    The line is the best line through the true shares, whatever their shape. The epochs are weighted by their reports.
    Weights by precision would be wrong. The variance is smaller if the estimate is low, so such weights would pull the
    line towards low estimates.
    """

    epochs: EpochShares

    @cached_property
    def coefficients(self) -> Floats:
        """The weight of each epoch in the slope; shape (epochs,)."""
        weights = self.epochs.reports / self.epochs.reports.sum()
        distance = self.epochs.times - weights @ self.epochs.times
        return np.asarray(weights * distance / (weights @ distance**2))

    @property
    def estimate(self) -> Floats:
        """The slopes."""
        return self.epochs.estimate(self.coefficients)

    @property
    def standard_error(self) -> Floats:
        """An upper bound on the standard error; exact if no device answered in two of the epochs."""
        return self.epochs.standard_error(self.coefficients)

    def confidence_interval(self, level: float = 0.95) -> Interval:
        """Return the interval of each slope. It contains the true slope with probability `level` or more."""
        return self.epochs.interval(self.coefficients, level)

    @cached_property
    def p_value(self) -> Floats:
        """The probability that the estimates differ as much between epochs if the share never changed.

        Epochs are compared only within a panel, which is the epochs in which the same devices answer. The sampling
        error of a panel recurs, and would look like a change. If no panel answers twice, all epochs are compared.
        """
        epochs = self.epochs
        panels = epochs.panels if epochs.recurs else np.zeros_like(epochs.panels)
        statistic, freedom = np.zeros(epochs.pooled.shape), 0
        for panel in np.unique(panels):
            chosen = panels == panel
            reports, shares = epochs.reports[chosen], epochs.shares[chosen]
            pooled = reports @ shares / reports.sum()
            statistic += reports @ (shares - pooled) ** 2 / epochs.variance(np.clip(pooled, 0, 1))
            freedom += chosen.sum() - 1
        return np.asarray(chdtrc(float(freedom), statistic))


def trend(
    question: Question, survey: Survey, tallies: Mapping[str, Tally], population: Population = "customers"
) -> Trend:
    """Estimate the trend of every share over epochs.

    tallies: by the label of their epoch; raises EstimateError for fewer than two. Devices that answer again have the
    same sampling error. The Cauchy-Schwarz inequality bounds their part of the variance.

    >>> from hushtally.survey.template import example
    >>> from datetime import date
    >>> survey = Survey.parse(example(date(2026, 11, 2)))
    >>> weeks = {
    ...     f"2026-W{45 + week}": Tally.of({0: 1_000 + 50 * week, 1: 1_100, 2: 900, 3: 900 - 50 * week})
    ...     for week in range(8)
    ... }
    >>> found = trend(survey.question("affinity"), survey, weeks)
    >>> low, high = found.confidence_interval()
    >>> print(found.estimate.round(3), low.round(3), high.round(3), found.p_value.round(3))
    [ 0.043  0.     0.    -0.043] [ 0.035 -0.007 -0.007 -0.049] [ 0.05   0.007  0.007 -0.036] [0. 1. 1. 0.]
    """
    if len(tallies) < 2:
        raise EstimateError(f"a trend needs at least two epochs with reports, got {len(tallies)}")
    return Trend(EpochShares.of(question, numbered(survey, tallies), survey.privacy.answers_every, population))
