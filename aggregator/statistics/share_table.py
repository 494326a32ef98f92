"""The share table: the raw shares of one tally, and the covariance of every linear combination of them.

All statistics within one table start here, so that they treat every mechanism and both populations alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hushtally.aggregator.errors import EstimateError
from hushtally.aggregator.estimate import POPULATIONS
from hushtally.aggregator.intervals import Floats, Population
from hushtally.aggregator.regression import JointRegression, regress
from hushtally.aggregator.support import support_counts
from hushtally.aggregator.support_matrix import moments
from hushtally.aggregator.tally import Integers, Tally
from hushtally.client_sdk.mechanisms import Mechanism, Rappor
from hushtally.client_sdk.survey.questions import Question


@dataclass(frozen=True, eq=False)
class ShareTable:
    """The shares of one tally. The mechanism, the tally and the population determine everything else."""

    mechanism: Mechanism
    tally: Tally
    population: Population = "customers"

    @classmethod
    def of(cls, question: Question | Mechanism, tally: Tally, population: Population = "customers") -> ShareTable:
        """The table of a question. Raises EstimateError without a report, and for an unknown population."""
        if population not in POPULATIONS:
            raise EstimateError(f"population must be one of {', '.join(POPULATIONS)}, got {population!r}")
        if not tally.n:
            raise EstimateError("an estimate needs at least one report")
        return cls(question.mechanism if isinstance(question, Question) else question, tally, population)

    @property
    def n(self) -> int:
        """The number of reports."""
        return self.tally.n

    @cached_property
    def supporting(self) -> Integers:
        """How many reports support each value. Raises EstimateError for rappor."""
        return support_counts(self.mechanism, self.tally)

    @cached_property
    def regression(self) -> JointRegression | None:
        """The regression of rappor; None for mechanisms with support counts."""
        return regress(self.mechanism, self.tally, self.population) if isinstance(self.mechanism, Rappor) else None

    @cached_property
    def shares(self) -> Floats:
        """The raw shares; float array of shape (domain,)."""
        if self.regression:
            return self.regression.shares
        return np.asarray(self.mechanism.channel.debias(self.supporting, self.n))

    def covariance(self, weights: Floats) -> Floats:
        """The covariance of m weighted sums of the shares. weights: shape (m, domain); returns shape (m, m).

        It consists of the exact moments of the reports. One correction: a value that is supported less often than an
        empty segment would be gets the variance of an empty segment, because chance alone caused the difference.
        """
        if self.regression:
            return np.asarray(weights @ self.regression.covariance @ weights.T)
        channel = self.mechanism.channel
        mean, second = moments(self.mechanism, self.tally, weights)
        observed = self.supporting / self.n
        possible = np.clip(observed, float(channel.q), float(channel.p))
        missing = np.maximum(possible * (1 - possible) - observed * (1 - observed), 0)
        support = second - np.outer(mean, mean) + (weights * missing) @ weights.T
        covariance = np.asarray(channel.covariance(support, self.n))
        return covariance if self.population == "customers" else covariance - self.sampling_covariance(weights)

    def sampling_covariance(self, weights: Floats) -> Floats:
        """The part of the covariance that comes from sampling respondents, without the noise; shape (m, m)."""
        possible = np.clip(self.shares, 0, 1)
        sums = weights @ possible
        return np.asarray(((weights * possible) @ weights.T - np.outer(sums, sums)) / self.n)

    def standard_errors(self, weights: Floats) -> Floats:
        """The standard error of each of m weighted sums; shape (m,)."""
        return np.sqrt(np.maximum(np.diag(self.covariance(weights)), 0))
