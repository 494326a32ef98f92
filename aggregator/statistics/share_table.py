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
from hushtally.client_sdk.mechanisms import Design, Mechanism, Permanent, Rappor
from hushtally.client_sdk.survey.questions import Question

LARGEST_EXACT = 256  # values; the covariance of a longer domain is modelled, because its moments take too long


@dataclass(frozen=True, eq=False)
class ShareTable:
    """The shares of one tally. The mechanism, the tally and the population determine everything else."""

    mechanism: Mechanism
    tally: Tally
    population: Population = "customers"

    @classmethod
    def of(cls, question: Question | Mechanism, tally: Tally, population: Population = "customers") -> ShareTable:
        """Create the table of a question. Raises EstimateError without a report, and for an unknown population."""
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
        """Return the covariance of m weighted sums of the shares. weights: shape (m, domain); returns shape (m, m).

        The exact moments of the reports give the covariance, with one correction. A value with less support than an
        empty segment gets the variance of an empty segment, because only chance causes such a difference.
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
        """Return the part of the covariance that comes from sampling respondents, without the noise; shape (m, m)."""
        possible = np.clip(self.shares, 0, 1)
        sums = weights @ possible
        return np.asarray(((weights * possible) @ weights.T - np.outer(sums, sums)) / self.n)

    def standard_errors(self, weights: Floats) -> Floats:
        """Return the standard error of each of m weighted sums; shape (m,)."""
        return np.sqrt(np.maximum(np.diag(self.covariance(weights)), 0))

    def difference_variances(self) -> Floats:
        """Return the variance of the difference of each two shares; shape (domain, domain)."""
        domain = self.mechanism.domain
        if isinstance(self.mechanism, Design | Permanent) and domain > LARGEST_EXACT:
            covariance = self._modelled_covariance(self.mechanism)
        else:
            covariance = self.covariance(np.eye(domain))
        variance = np.diag(covariance)
        return np.maximum(variance[:, None] + variance - 2 * covariance, 0)

    def _modelled_covariance(self, mechanism: Design | Permanent) -> Floats:
        """Return the covariance of all shares, with modelled rates at which a report supports two values together.

        In a block design, a report supports two given values with one probability if one of them is true. It supports
        them with another probability on average if neither is. A uniformly drawn truth makes all symbols equally
        likely.
        """
        design = mechanism.single_report if isinstance(mechanism, Permanent) else mechanism
        assert isinstance(design, Design)
        channel = self.mechanism.channel
        per_pair = design.symbols_per_pair / design.symbols_per_value
        per_value = design.symbols_per_value / design.symbols
        points = (1 - per_pair) / (per_value - per_pair)
        of_holder = float(channel.p) * per_pair
        of_other = (points * per_pair * per_value - 2 * of_holder) / (points - 2)
        possible = np.clip(self.shares, 0, 1)
        both = possible[:, None] + possible
        rate = channel.observed(possible)
        support = of_holder * both + of_other * (1 - both) - np.outer(rate, rate)
        np.fill_diagonal(support, rate * (1 - rate))
        covariance = np.asarray(channel.covariance(support, self.n))
        if self.population == "customers":
            return covariance
        return covariance - (np.diag(possible) - np.outer(possible, possible)) / self.n
