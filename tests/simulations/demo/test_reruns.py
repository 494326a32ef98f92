"""The reruns of the demo, which show how the coverage varies from run to run."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from hushtally.aggregator.row import Row
from hushtally.client_sdk.survey import Survey
from hushtally.simulations.demo.comparison import Comparison
from hushtally.simulations.demo.purchases import Customer, load_customers, true_shares
from hushtally.simulations.demo.reruns import Reruns, rerun
from hushtally.simulations.demo.survey import write_survey


@pytest.fixture(scope="module")
def customers() -> list[Customer]:
    return load_customers()


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Survey:
    return write_survey(tmp_path_factory.mktemp("demo") / "cdnow.toml", 1.0, date(2026, 11, 24))


@pytest.fixture(scope="module")
def comparisons(survey: Survey, customers: list[Customer]) -> list[Comparison]:
    """Every share as the demo publishes it, from a quarter of the customers for each question."""
    months = {month: [one for one in customers if one.acquired == month] for month in survey.cohorts["acquired"]}
    found = []
    for question in survey.asked:
        for cohort, group in (({}, customers), *(({"acquired": month}, months[month]) for month in months)):
            n = len(group) // 4 if cohort else sum(len(one) // 4 for one in months.values())
            truth = true_shares(group, question.id)
            for segment in question.segments:
                row = Row(
                    survey=survey.id,
                    version=survey.version,
                    question=question.id,
                    epoch="2026-W47",
                    cohort=cohort,
                    segment=segment,
                    kind="share",
                    reports=n,
                    confidence=0.95,
                    population="customers",
                    published=True,
                )
                found.append(Comparison(row, truth.get(segment, 0.0)))
    return found


@pytest.mark.parametrize("runs", [200, pytest.param(1_000, marks=pytest.mark.slow)])
def test_the_mean_coverage_is_95_percent(
    survey: Survey, comparisons: list[Comparison], customers: list[Customer], runs: int
) -> None:
    """The mean over the runs of 104 intervals is from .94 to .96; over 1,000 runs, its standard error is .0008.

    The coverage varies more than that of independent intervals, which is why the demo simulates it.
    """
    reruns = rerun(survey, comparisons, customers, runs)
    assert len(reruns.coverages) == runs
    assert 0.94 < reruns.mean < 0.96
    assert np.std(reruns.coverages) > 1.05 * (reruns.mean * (1 - reruns.mean) / len(comparisons)) ** 0.5
    assert reruns == rerun(survey, comparisons, customers, runs)


def test_ninety_percent_of_the_runs_are_in_the_central_range() -> None:
    runs = Reruns([number / 100 for number in range(100)])
    low, high = runs.central_range
    assert sum(low <= coverage <= high for coverage in runs.coverages) == 90
    assert Reruns([0.5]).central_range == (0.5, 0.5)


def test_only_published_shares_count(survey: Survey, comparisons: list[Comparison], customers: list[Customer]) -> None:
    """With one published segment, the coverage of a run is 0 or 1."""
    alone = [replace(one, row=replace(one.row, published=number == 0)) for number, one in enumerate(comparisons)]
    assert set(rerun(survey, alone, customers, 200).coverages) == {0.0, 1.0}
