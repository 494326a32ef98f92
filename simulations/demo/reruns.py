"""The demonstration drawn again and again: how many of its intervals hold the truth, from run to run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hushtally.aggregator.intervals import share_interval
from hushtally.aggregator.tally import Integers
from hushtally.client_sdk.survey import Survey
from hushtally.simulations.demo.purchases import Customer
from hushtally.simulations.demo.replay import Line
from hushtally.simulations.sampling import draw_supporting

RUNS = 1_000
ALL = ""  # in place of a month


@dataclass(frozen=True)
class Runs:
    """The shares of the intervals that held the truth, one for every run, ascending."""

    shares: Sequence[float]

    @property
    def mean(self) -> float:
        """The share on average."""
        return float(np.mean(self.shares))

    @property
    def usual(self) -> tuple[float, float]:
        """From where to where at least nine in ten of the runs lie: all but a twentieth at each end."""
        spared = len(self.shares) // 20
        return self.shares[spared], self.shares[-1 - spared]


def run_again(survey: Survey, lines: Sequence[Line], customers: Sequence[Customer], runs: int = RUNS) -> Runs:
    """Runs with the same customers, of whom as many as in `lines` answer each question, and intervals of the same
    groups: who answers which question is drawn anew, and so is every report. Equal arguments, equal results.
    """
    random = np.random.default_rng(0)
    values = {
        question.id: np.array([question.segments.index(one.segments[question.id]) for one in customers])
        for question in survey.asked
    }
    reports = {(line.row.question, line.row.cohort.get("acquired", ALL)): line.row.reports for line in lines}
    truths: dict[tuple[str, str], list[float]] = {}
    for line in lines:
        if line.row.published:
            truths.setdefault((line.row.question, line.row.cohort.get("acquired", ALL)), []).append(line.truth)
    months = np.array([one.acquired for one in customers])
    members = {month: np.flatnonzero(months == month) for month in survey.cohorts["acquired"]}
    shares = []
    for _ in range(runs):
        drawn = _draw(survey, members, values, reports, random)
        held = 0
        for (id, month), truth in truths.items():
            supporting = drawn[id, month] if month else sum(drawn[id, one] for one in members)
            channel = survey.question(id).mechanism.channel
            low, high = share_interval(channel, np.asarray(supporting), reports[id, month], 0.95)
            held += int(((low <= truth) & (truth <= high)).sum())
        shares.append(held / sum(map(len, truths.values())))
    return Runs(sorted(shares))


def _draw(
    survey: Survey,
    members: dict[str, Integers],
    values: dict[str, Integers],
    reports: dict[tuple[str, str], int],
    random: np.random.Generator,
) -> dict[tuple[str, str], Integers]:
    """How many reports support each value, by question and month; every customer answers one question."""
    found = {}
    for month, some in members.items():
        rest = random.permutation(some)
        for question in survey.asked:
            n = reports.get((question.id, month), 0)
            answering, rest = rest[:n], rest[n:]
            holders = np.bincount(values[question.id][answering], minlength=question.mechanism.domain)
            found[question.id, month] = draw_supporting(question.mechanism, holders, random)
    return found
