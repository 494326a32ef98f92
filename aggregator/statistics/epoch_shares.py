"""Epoch shares: the shares of several epochs, and intervals of weighted sums over the epochs.

The same devices answer again after `answers_every` epochs. The sampling error of these devices then recurs. With
permanent memory, a part of their noise recurs, too. A panel is the epochs in which the same devices answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import ndtri

from hushtally.aggregator.errors import EstimateError
from hushtally.aggregator.intervals import Floats, Interval, Population, share_interval
from hushtally.aggregator.statistics.share_table import ShareTable
from hushtally.aggregator.tally import Integers, Tally
from hushtally.client_sdk.mechanisms import Mechanism, Permanent, Rappor
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.questions import Question


@dataclass(frozen=True, eq=False)
class EpochShares:
    """The tables of E epochs in the order of time. times: the number of each epoch; panels: its group of devices."""

    tables: Sequence[ShareTable]
    times: Integers
    panels: Integers

    @classmethod
    def of(
        cls,
        question: Question | Mechanism,
        tallies: Mapping[int, Tally],
        answers_every: int = 1,
        population: Population = "customers",
    ) -> EpochShares:
        """Compute the shares of the epochs with these numbers. A device answers every `answers_every` epochs.

        Raises EstimateError if there is no epoch, or if an epoch has no reports.
        """
        if not tallies:
            raise EstimateError("a statistic over epochs needs at least one epoch with reports")
        times = np.array(sorted(tallies))
        tables = [ShareTable.of(question, tallies[time], population) for time in times.tolist()]
        return cls(tables, times, times % answers_every)

    @property
    def mechanism(self) -> Mechanism:
        """The mechanism of the question."""
        return self.tables[0].mechanism

    @property
    def population(self) -> Population:
        """Whose shares these are."""
        return self.tables[0].population

    @cached_property
    def reports(self) -> Integers:
        """The number of reports of each epoch; shape (E,)."""
        return np.array([table.n for table in self.tables])

    @cached_property
    def shares(self) -> Floats:
        """The raw shares; shape (E, domain)."""
        return np.array([table.shares for table in self.tables])

    @cached_property
    def pooled(self) -> Floats:
        """The shares of the reports of all epochs together, cut to 0..1; shape (domain,)."""
        return np.asarray(np.clip(self.reports @ self.shares / self.reports.sum(), 0, 1))

    @cached_property
    def recurs(self) -> bool:
        """Whether the same devices may have answered in two of the epochs."""
        return np.unique(self.panels).size < self.panels.size

    def variance(self, shares: Floats) -> Floats:
        """Return the variance of an estimate from one report, for these true shares."""
        channel = self.mechanism.channel
        if isinstance(self.mechanism, Rappor):
            errors = [table.n * table.standard_errors(np.eye(shares.shape[-1])) ** 2 for table in self.tables]
            return np.asarray(np.array(errors) if shares.ndim > 1 else np.mean(errors, axis=0))
        variance = channel.variance if self.population == "customers" else channel.respondents_variance
        return np.asarray(variance(shares, 1))

    @cached_property
    def recurring(self) -> Floats:
        """The part of the variance of one report that recurs if the device answers again unchanged; shape (domain,).

        With fresh memory, the customer's true answer recurs, which does not add to the uncertainty about respondents.
        With permanent memory, the stored symbol recurs. With rappor, all variance is counted, which is conservative.
        """
        if isinstance(self.mechanism, Permanent):
            stored = self.mechanism.permanent_draw.channel
            if self.population == "customers":
                rate = stored.observed(self.pooled)
                support = rate * (1 - rate)
            else:
                support = stored.respondents_variance(self.pooled, 1) * float(stored.gain) ** 2
            return np.asarray(self.mechanism.channel.covariance(float(self.mechanism.gamma) ** 2 * support, 1))
        if isinstance(self.mechanism, Rappor):
            return self.variance(self.pooled)
        return self.pooled * (1 - self.pooled) if self.population == "customers" else np.zeros(self.pooled.shape)

    def recurrence(self, coefficients: Floats) -> Floats:
        """Return the largest multiple of the recurring variance that devices add by answering again; 0 if none does.

        The Cauchy-Schwarz inequality within each panel gives this bound, whatever the customers do. coefficients:
        shape (..., E); returns shape (...).
        """
        each = np.abs(coefficients) / np.sqrt(self.reports)
        members = (self.panels[:, None] == np.unique(self.panels)).astype(np.float64)
        return np.asarray(((each @ members) ** 2).sum(axis=-1) - (each**2).sum(axis=-1))

    def estimate(self, coefficients: Floats) -> Floats:
        """Return the weighted sum of the shares over the epochs.

        coefficients: shape (..., E); returns shape (..., domain).
        """
        return np.asarray(coefficients @ self.shares)

    def standard_error(self, coefficients: Floats, unchanged: float = 0.0) -> Floats:
        """Return an upper bound on the standard error of the weighted sum.

        The bound is exact if no device answered in two of the epochs. unchanged: see `interval`.
        """
        independent = coefficients**2 / self.reports @ self.variance(np.clip(self.shares, 0, 1))
        return np.sqrt(np.maximum(independent + self._extra(coefficients, unchanged), 0))

    def interval(self, coefficients: Floats, level: float = 0.95, unchanged: float = 0.0) -> Interval:
        """Return the interval of the weighted sum. It combines the intervals of the epochs.

        unchanged: how much devices that gave the same permanent answer twice reduce the variance, if known: the sum of
        2 m / (n1 n2) over the pairs of epochs. Then nothing is added for recurrence. MOVER: Zou & Donner 2008.
        """
        down, up = self._distances(level)
        below, above = np.where(coefficients > 0, down.T, up.T), np.where(coefficients > 0, up.T, down.T)
        extra = float(ndtri((1 + level) / 2)) ** 2 * self._extra(coefficients, unchanged)
        estimate = self.estimate(coefficients)
        return Interval(
            estimate - np.sqrt(np.maximum(below**2 @ coefficients**2 + extra, 0)),
            estimate + np.sqrt(np.maximum(above**2 @ coefficients**2 + extra, 0)),
        )

    def _extra(self, coefficients: Floats, unchanged: float) -> Floats:
        """Return what recurring answers add to the variance; shape (..., domain)."""
        factor = np.asarray(-unchanged) if unchanged else self.recurrence(coefficients)
        return np.asarray(factor[..., None] * self.recurring)

    def _distances(self, level: float) -> tuple[Floats, Floats]:
        """Return how far the interval of each share reaches below and above it; two arrays of shape (E, domain)."""
        if level not in self._reach:
            self._reach[level] = self._measure(level)
        return self._reach[level]

    @cached_property
    def _reach(self) -> dict[float, tuple[Floats, Floats]]:
        """The results of `_distances` so far, by level."""
        return {}

    def _measure(self, level: float) -> tuple[Floats, Floats]:
        if isinstance(self.mechanism, Rappor):
            errors = np.array([table.standard_errors(np.eye(self.mechanism.domain)) for table in self.tables])
            half = float(ndtri((1 + level) / 2)) * errors
            return half, half
        ends = [
            share_interval(self.mechanism.channel, table.supporting, table.n, level, self.population)
            for table in self.tables
        ]
        low, high = (np.array(side) for side in zip(*ends, strict=True))
        return self.shares - low, high - self.shares


def numbered(survey: Survey, tallies: Mapping[str, Tally]) -> dict[int, Tally]:
    """Return the tallies by the number of their epoch, counted from the start of the survey."""
    return {epoch_number(survey, epoch): tally for epoch, tally in tallies.items()}


def epoch_number(survey: Survey, epoch: str) -> int:
    """Return the number of an epoch, counted from the start of the survey."""
    return survey.epoch.steps(survey.starts, survey.epoch.first_day(epoch))


def report_weights(reports: Integers, chosen: Iterable[bool]) -> Floats:
    """Return the weights of a mean over the chosen epochs, proportional to the reports; shape (E,)."""
    weights = np.where(list(chosen), reports, 0)
    return np.asarray(weights / weights.sum())
