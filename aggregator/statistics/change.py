"""Change: how the shares of a question differ between two epochs, or between two ranges of epochs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hushtally.aggregator.errors import EstimateError
from hushtally.aggregator.intervals import Floats, Interval, Population
from hushtally.aggregator.statistics.epoch_shares import EpochShares, numbered, report_weights
from hushtally.aggregator.tally import Tally
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.questions import Question


@dataclass(frozen=True, eq=False)
class Change:
    """The change of every share, from an earlier to a later range; arrays of shape (domain,).

    epochs: the shares of all epochs; coefficients: their weights, negative for the earlier range. unchanged: how much
    devices that gave the same permanent answer in both ranges reduce the variance; 0 if unknown.
    """

    epochs: EpochShares
    coefficients: Floats
    unchanged: float

    @property
    def estimate(self) -> Floats:
        """The later shares minus the earlier ones."""
        return self.epochs.estimate(self.coefficients)

    @property
    def standard_error(self) -> Floats:
        """An upper bound on the standard error; exact if no device answered in two of the epochs."""
        return self.epochs.standard_error(self.coefficients, self.unchanged)

    def confidence_interval(self, level: float = 0.95) -> Interval:
        """Return the interval of each change. It contains the true change with probability `level` or more."""
        return self.epochs.interval(self.coefficients, level, self.unchanged)


def change(
    question: Question,
    survey: Survey,
    earlier: Mapping[str, Tally],
    later: Mapping[str, Tally],
    population: Population = "customers",
    overlap: int = 0,
) -> Change:
    """Estimate the change between two ranges of epochs. Each range is the mean of its epochs, weighted by reports.

    earlier, later: tallies by the label of their epoch. overlap: with permanent memory, how many devices gave the
    same answer in both epochs, if known. The interval is then narrower. Raises EstimateError if an epoch is in both
    ranges, or if a range has no reports. Also raises it for an overlap with fresh memory, with ranges of several
    epochs, or above the reports of either epoch.

    >>> from hushtally.survey.template import example
    >>> from datetime import date
    >>> survey = Survey.parse(example(date(2026, 11, 2)))
    >>> question = survey.question("affinity")
    >>> november = {"2026-W46": Tally.of({0: 1_300, 1: 1_100, 2: 900, 3: 700})}
    >>> december = {"2026-W49": Tally.of({0: 1_500, 1: 1_100, 2: 900, 3: 500})}
    >>> found = change(question, survey, november, december)
    >>> low, high = found.confidence_interval()
    >>> print(found.estimate.round(3), low.round(3), high.round(3))
    [ 0.166  0.     0.    -0.166] [ 0.097 -0.065 -0.061 -0.218] [ 0.236  0.065  0.061 -0.114]
    """
    both = earlier.keys() & later.keys()
    if both:
        raise EstimateError(f"the ranges must not share an epoch, but {min(both)} is in both")
    if not earlier or not later:
        raise EstimateError("a change needs at least one epoch with reports on each side")
    epochs = EpochShares.of(question, numbered(survey, {**earlier, **later}), survey.privacy.answers_every, population)
    is_later = [time in numbered(survey, later) for time in epochs.times.tolist()]
    coefficients = report_weights(epochs.reports, is_later) - report_weights(epochs.reports, np.logical_not(is_later))
    if not overlap:
        return Change(epochs, coefficients, 0.0)
    if not survey.permanent or len(is_later) != 2:
        raise EstimateError("an overlap needs memory = 'permanent' and two single epochs")
    if not 0 < overlap <= epochs.reports.min():
        raise EstimateError(f"an overlap must be from 1 to {epochs.reports.min():,}, got {overlap:,}")
    return Change(epochs, coefficients, 2 * overlap / float(np.prod(epochs.reports.astype(float))))
