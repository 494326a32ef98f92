"""Membership: what a single report reveals about the customer who sent it. A report does not label a person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hushtally.aggregator.estimate import estimate
from hushtally.aggregator.intervals import Floats, Interval, Population
from hushtally.aggregator.statistics.share_table import ShareTable
from hushtally.aggregator.tally import Tally
from hushtally.client_sdk.explain.belief import belief_bound
from hushtally.client_sdk.mechanisms import Mechanism
from hushtally.client_sdk.survey.questions import Question


@dataclass(frozen=True, eq=False)
class Membership:
    """How sure anyone can be that a customer is in each segment, before and after one report of this customer.

    table: the shares. Without a report of the customer, the share of a segment is the best belief.
    """

    table: ShareTable

    @property
    def epsilon(self) -> float:
        """The privacy loss of one report."""
        return self.table.mechanism.epsilon

    @property
    def estimate(self) -> Floats:
        """The belief before the report: the share of each segment, cut to 0..1; shape (domain,)."""
        return np.clip(self.table.shares, 0, 1)

    def confidence_interval(self, level: float = 0.95) -> Interval:
        """Return the smallest and the largest possible belief after the report; arrays of shape (domain,).

        They follow from Bayes' theorem for the ends of the interval of each share.
        """
        found = estimate(self.table.mechanism, self.table.tally, level, self.table.population)
        return Interval(
            np.array([1 - belief_bound(1 - share, self.epsilon) for share in np.clip(found.low, 0, 1).tolist()]),
            np.array([belief_bound(share, self.epsilon) for share in np.clip(found.high, 0, 1).tolist()]),
        )


def membership(question: Question | Mechanism, tally: Tally, population: Population = "customers") -> Membership:
    """Bound what one report reveals about its sender, for every segment of a question.

    Raises EstimateError without a report.

    >>> from hushtally.client_sdk.mechanisms import Direct, Weights
    >>> found = membership(Direct(3, Weights.of(1.0)), Tally.of({0: 900, 1: 500, 2: 600}))
    >>> low, high = found.confidence_interval()
    >>> print(found.estimate.round(2), low.round(2), high.round(2))
    [0.65 0.1  0.24] [0.35 0.02 0.08] [0.87 0.34 0.54]
    """
    return Membership(ShareTable.of(question, tally, population))
