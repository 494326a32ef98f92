"""The comparison of the estimates with the true shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hushtally.aggregator.database import Database
from hushtally.aggregator.row import Row
from hushtally.aggregator.summary import summarize
from hushtally.client_sdk.survey import Survey
from hushtally.simulations.demo.purchases import Customer, true_shares

COHORT = "acquired"


@dataclass(frozen=True)
class Comparison:
    """One row of a summary, and the true share."""

    row: Row
    truth: float

    @property
    def group(self) -> str:
        """The month of acquisition; empty for all customers."""
        return self.row.cohort.get(COHORT, "")

    @property
    def covers(self) -> bool:
        """Whether the interval contains the true share."""
        low, high = self.row.low, self.row.high
        return low is not None and high is not None and low <= self.truth <= high


def compare(survey: Survey, database: Path, customers: Sequence[Customer]) -> list[Comparison]:
    """Compare every estimate with the true share, by question: for all customers, then by month of acquisition."""
    with Database.open(database) as opened:
        tallies = opened.tallies(survey)
    groups = {month: [one for one in customers if one.acquired == month] for month in survey.cohorts[COHORT]}
    comparisons = []
    for question in survey.asked:
        ids = [question.id]
        rows = summarize(survey, tallies, questions=ids) + summarize(survey, tallies, by=[COHORT], questions=ids)
        for row in rows:
            truth = true_shares(groups.get(row.cohort.get(COHORT, ""), customers), question.id)
            comparisons.append(Comparison(row, truth.get(row.segment, 0.0)))
    return comparisons
