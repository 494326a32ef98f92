"""What the demonstration says of one run: measured on a thousand, dependence and all."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from hushtally.aggregator.summary import Row
from hushtally.client_sdk.survey import Survey
from hushtally.simulations.demo.purchases import Customer, load_customers, true_shares
from hushtally.simulations.demo.replay import Line, write_survey
from hushtally.simulations.demo.reruns import Runs, run_again


@pytest.fixture(scope="module")
def customers() -> list[Customer]:
    return load_customers()


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Survey:
    return write_survey(tmp_path_factory.mktemp("demo") / "cdnow.toml", 1.0, date(2026, 11, 24))


@pytest.fixture(scope="module")
def lines(survey: Survey, customers: list[Customer]) -> list[Line]:
    """Every share as a run publishes it, from a quarter of the customers each."""
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
                found.append(Line(row, truth.get(segment, 0.0)))
    return found


@pytest.mark.parametrize("count", [200, pytest.param(1_000, marks=pytest.mark.slow)])
def test_the_average_is_what_is_promised(
    survey: Survey, lines: list[Line], customers: list[Customer], count: int
) -> None:
    """104 intervals: within .94 and .96 (a standard error is .0008 over 1,000 runs), and no run is like all others;
    runs are spread more than independent intervals would be, which is why they are measured."""
    runs = run_again(survey, lines, customers, count)
    assert len(runs.shares) == count
    assert 0.94 < runs.mean < 0.96
    assert np.std(runs.shares) > 1.05 * (runs.mean * (1 - runs.mean) / len(lines)) ** 0.5
    assert runs == run_again(survey, lines, customers, count)


def test_nine_in_ten_runs_are_within_the_usual_range() -> None:
    runs = Runs([number / 100 for number in range(100)])
    low, high = runs.usual
    assert sum(low <= share <= high for share in runs.shares) == 90
    assert Runs([0.5]).usual == (0.5, 0.5)


def test_only_what_was_published_counts(survey: Survey, lines: list[Line], customers: list[Customer]) -> None:
    """One published segment: a run holds it or not."""
    alone = [replace(line, row=replace(line.row, published=number == 0)) for number, line in enumerate(lines)]
    assert set(run_again(survey, alone, customers, 200).shares) == {0.0, 1.0}
