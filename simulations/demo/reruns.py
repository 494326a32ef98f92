"""Reruns of the demo, which show how the coverage varies from run to run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hushtally.aggregator.intervals import share_interval
from hushtally.aggregator.tally import Integers
from hushtally.client_sdk.survey import Survey
from hushtally.simulations.accuracy import CONFIDENCE
from hushtally.simulations.demo.comparison import COHORT, Comparison
from hushtally.simulations.demo.purchases import Customer
from hushtally.simulations.sampling import draw_support_counts

RUNS = 1_000
ALL = ""  # the group of all customers, instead of a month

Key = tuple[str, str]  # question id and month


@dataclass(frozen=True)
class Reruns:
    """The coverage of each run: the share of its intervals that contain the true value, in ascending order."""

    coverages: Sequence[float]

    @property
    def mean(self) -> float:
        """The mean coverage."""
        return float(np.mean(self.coverages))

    @property
    def central_range(self) -> tuple[float, float]:
        """The range of coverage of at least 90% of the runs. At most 5% of the runs are outside at each end."""
        cut = len(self.coverages) // 20
        return self.coverages[cut], self.coverages[-1 - cut]


def rerun(
    survey: Survey,
    comparisons: Sequence[Comparison],
    customers: Sequence[Customer],
    runs: int = RUNS,
    progress: Callable[[], object] = lambda: None,
) -> Reruns:
    """Simulate the demo again with the same customers and the same number of reports for each question and group.

    Each run draws anew which customer answers which question, and draws all reports anew. Equal arguments give equal
    results. progress: called once per run.
    """
    random = np.random.default_rng(0)
    values = {
        question.id: np.array([question.segments.index(one.segments[question.id]) for one in customers])
        for question in survey.asked
    }
    reports = {(one.row.question, one.group): one.row.reports for one in comparisons}
    truths: dict[Key, list[float]] = {}
    for one in comparisons:
        if one.row.published:
            truths.setdefault((one.row.question, one.group), []).append(one.truth)
    months = np.array([one.acquired for one in customers])
    members = {month: np.flatnonzero(months == month) for month in survey.cohorts[COHORT]}
    coverages = []
    for _ in range(runs):
        counts = _draw_counts(survey, members, values, reports, random)
        coverages.append(_coverage(survey, counts, reports, truths))
        progress()
    return Reruns(sorted(coverages))


def _draw_counts(
    survey: Survey,
    members: dict[str, Integers],
    values: dict[str, Integers],
    reports: dict[Key, int],
    random: np.random.Generator,
) -> dict[Key, Integers]:
    """Return how many reports support each value, by question and month, if every customer answers one question."""
    counts = {}
    for month, of_month in members.items():
        rest = random.permutation(of_month)
        for question in survey.asked:
            n = reports.get((question.id, month), 0)
            answering, rest = rest[:n], rest[n:]
            true_counts = np.bincount(values[question.id][answering], minlength=question.mechanism.domain)
            counts[question.id, month] = draw_support_counts(question.mechanism, true_counts, random)
    return counts


def _coverage(
    survey: Survey, counts: dict[Key, Integers], reports: dict[Key, int], truths: dict[Key, list[float]]
) -> float:
    """Return the share of the intervals of one run that contain the true value."""
    covering = 0
    for (id, month), truth in truths.items():
        support = counts[id, month] if month else sum(counts[id, one] for one in survey.cohorts[COHORT])
        channel = survey.question(id).mechanism.channel
        low, high = share_interval(channel, np.asarray(support), reports[id, month], CONFIDENCE)
        covering += int(((low <= truth) & (truth <= high)).sum())
    return covering / sum(map(len, truths.values()))
