"""Pooling: the shares of several epochs or groups of customers together, weighted by reports or by customers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hushtally.aggregator.errors import EstimateError
from hushtally.aggregator.intervals import Floats, Interval, Population
from hushtally.aggregator.statistics.epoch_shares import EpochShares, numbered, report_weights
from hushtally.aggregator.statistics.share_table import ShareTable
from hushtally.aggregator.tally import Tally
from hushtally.client_sdk.mechanisms import Mechanism
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.questions import Question


@dataclass(frozen=True, eq=False)
class Pooled:
    """A weighted mean of the shares of several tables; arrays of shape (domain,).

    parts: the tables. Groups of customers are treated like epochs in which different devices answer. weights: of the
    tables; they add up to one.
    """

    parts: EpochShares
    weights: Floats

    @property
    def estimate(self) -> Floats:
        """The weighted mean of every share."""
        return self.parts.estimate(self.weights)

    @property
    def standard_error(self) -> Floats:
        """An upper bound on the standard error; exact if no device answered in two of the tables."""
        return self.parts.standard_error(self.weights)

    def confidence_interval(self, level: float = 0.95) -> Interval:
        """Return the interval of each mean. It contains the true mean with probability `level` or more."""
        return self.parts.interval(self.weights, level)


def pool_epochs(
    question: Question, survey: Survey, tallies: Mapping[str, Tally], population: Population = "customers"
) -> Pooled:
    """Estimate the mean share over several epochs, each weighted by its reports.

    tallies: by the label of their epoch; raises EstimateError if there are none. If devices answer again, the
    Cauchy-Schwarz inequality bounds their part of the variance.

    >>> from hushtally.survey.template import example
    >>> from datetime import date
    >>> survey = Survey.parse(example(date(2026, 11, 2)))
    >>> weeks = {f"2026-W{week}": Tally.of({0: 1_300, 1: 1_100, 2: 900, 3: 700}) for week in range(45, 49)}
    >>> month = pool_epochs(survey.question("affinity"), survey, weeks)
    >>> low, high = month.confidence_interval()
    >>> print(low.round(3), high.round(3))
    [ 0.476  0.311  0.146 -0.019] [0.524 0.357 0.189 0.021]
    """
    parts = EpochShares.of(question, numbered(survey, tallies), survey.privacy.answers_every, population)
    return Pooled(parts, report_weights(parts.reports, [True] * len(parts.tables)))


def pool_groups(
    question: Question | Mechanism,
    tallies: Sequence[Tally],
    customers: Sequence[float],
    population: Population = "customers",
) -> Pooled:
    """Estimate the share among all customers of several groups, given how many customers each group has.

    tallies: of groups without common devices. customers: how many customers each group has, or any numbers in that
    proportion. Merged tallies would estimate another share, which weights each group by its reports. Raises
    EstimateError if the two have different lengths, if a number is not positive, and for a group without reports.

    >>> from hushtally.client_sdk.mechanisms import Direct, Weights
    >>> web, ios = Tally.of({0: 900, 1: 100}), Tally.of({0: 50, 1: 50})
    >>> pool_groups(Direct(2, Weights.of(2.0)), [web, ios], [60, 40]).estimate.round(3)
    array([0.815, 0.185])
    """
    if len(tallies) != len(customers) or not tallies:
        raise EstimateError(f"every group needs its customers, got {len(tallies)} groups and {len(customers)} numbers")
    weights = np.asarray(customers, dtype=np.float64)
    if not (np.isfinite(weights).all() and (weights > 0).all()):
        raise EstimateError(f"customers must be positive numbers, got {list(customers)}")
    tables = [ShareTable.of(question, tally, population) for tally in tallies]
    numbers = np.arange(len(tables))
    return Pooled(EpochShares(tables, numbers, numbers), np.asarray(weights / weights.sum()))
