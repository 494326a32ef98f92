"""Confidence sequences: intervals of shares that hold however often the analyst looks at an open epoch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import betaln, xlog1py, xlogy

from hushtally.aggregator.errors import NotEstimableError
from hushtally.aggregator.intervals import Floats, Interval
from hushtally.aggregator.statistics.share_table import ShareTable
from hushtally.aggregator.tally import Integers, Tally
from hushtally.client_sdk.mechanisms import Mechanism, Rappor
from hushtally.client_sdk.mechanisms.channel import Channel
from hushtally.client_sdk.survey.questions import Question

HALVINGS = 45


@dataclass(frozen=True, eq=False)
class ConfidenceSequence:
    """The shares of an open epoch; arrays of shape (domain,).

    supporting: how many of n reports support each value. A 95% interval misses its true share on any day
    of looking with probability 5% at most. It is about twice as long as an interval for one look.
    """

    channel: Channel
    n: int
    supporting: Integers

    @property
    def estimate(self) -> Floats:
        """The raw shares."""
        return np.asarray(self.channel.debias(self.supporting, self.n))

    @property
    def standard_error(self) -> Floats:
        """The standard error of each share."""
        return np.asarray(np.sqrt(self.channel.variance(np.clip(self.estimate, 0, 1), self.n)))

    def confidence_interval(self, level: float = 0.95) -> Interval:
        """Return the interval of each share: all rates that a mixture over all rates does not refute. Robbins 1970.

        The likelihood of the mixture may exceed 1 / (1 - level) times that of the true rate. By Ville's inequality, the
        probability that this ever happens is at most 1 - level.
        """
        count, rest = self.supporting.astype(np.float64), self.n - self.supporting.astype(np.float64)
        limit = betaln(1 + count, 1 + rest) + np.log1p(-level)
        inside = np.array([count, count]) / self.n
        outside = np.array([np.zeros(count.shape), np.ones(count.shape)])
        for _ in range(HALVINGS):
            middle = (inside + outside) / 2
            accepted = xlogy(count, middle) + xlog1py(rest, -middle) > limit
            inside, outside = np.where(accepted, middle, inside), np.where(accepted, outside, middle)
        return Interval(*self.channel.share(inside))


def confidence_sequence(question: Question | Mechanism, tally: Tally) -> ConfidenceSequence:
    """Estimate shares of all customers, with intervals that hold however often the analyst looks at an open epoch.

    Raises EstimateError without a report, and NotEstimableError for rappor, whose values have no support counts.

    >>> from hushtally.client_sdk.mechanisms import Direct, Weights
    >>> found = confidence_sequence(Direct(3, Weights.of(1.0)), Tally.of({0: 900, 1: 500, 2: 600}))
    >>> low, high = found.confidence_interval()
    >>> print(found.estimate.round(3), low.round(3), high.round(3))
    [0.654 0.105 0.242] [0.544 0.01  0.142] [0.765 0.205 0.347]
    """
    table = ShareTable.of(question, tally)
    if isinstance(table.mechanism, Rappor):
        raise NotEstimableError("rappor has no intervals that hold at every look")
    return ConfidenceSequence(table.mechanism.channel, table.n, table.supporting)
