"""Counts that no population could give are refused with a reason, and damaged counts are an error."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hushtally.aggregator.errors import EstimateError, NotEstimableError
from hushtally.aggregator.publishing import require_possible
from hushtally.aggregator.summary import summarize
from hushtally.aggregator.tally import Tally
from hushtally.cli import main
from hushtally.client_sdk.mechanisms import Rappor
from hushtally.client_sdk.protocol.cell import Cell
from hushtally.client_sdk.survey import Survey
from hushtally.simulations.sampling import draw_tally


def cell(survey: Survey, question: str) -> Cell:
    return Cell.of(survey.id, survey.version, question, {"platform": "web", "plan": "free"}, "2026-W45")


@pytest.mark.parametrize("symbol", [0, 1])
def test_a_share_beyond_100_percent_or_below_zero_by_more_than_noise_is_refused(survey: Survey, symbol: int) -> None:
    """One symbol alone: its values have more support than if they were true for everybody."""
    for question in survey.asked:
        [row, *_] = summarize(survey, {cell(survey, question.id): Tally.of({symbol: 5_000})}, questions=[question.id])
        assert not row.published
        assert row.reason is not None
        assert row.reason.startswith("impossible counts: ")
        assert "they are damaged or invented" in row.reason


def test_noise_is_not_refused(survey: Survey) -> None:
    """Everybody in one segment, 300 surveys: estimates around 100% and 0%. Refused by chance in 1 of 10^9 surveys."""
    random = np.random.default_rng(6)
    question = survey.question("affinity")
    for _ in range(300):
        held = random.permutation([600, 0, 0, 0])
        require_possible(question, draw_tally(question.mechanism, held, random))


def test_every_report_of_one_segment_is_possible_for_few_reports_only(survey: Survey) -> None:
    """The same estimate, above 100%, is noise for 20 reports and impossible for 2,000."""
    question = survey.question("frequency")
    require_possible(question, Tally.of({0: 20}))
    with pytest.raises(NotEstimableError, match=r"impossible counts: -?\d+% of customers in 'none'"):
        require_possible(question, Tally.of({0: 2_000}))


def test_rappor_is_refused_by_its_regression(survey: Survey) -> None:
    mechanism = Rappor(3, 8, 2, 4, Fraction(1, 2), Fraction(1, 2), Fraction(3, 4))
    question = replace(survey.question("frequency"), mechanism=mechanism)
    random = np.random.default_rng(1)
    require_possible(question, draw_tally(mechanism, np.array([300, 300, 400]), random))
    symbols = [group << 8 | mechanism.bits(group, 0) for group in range(4)]
    with pytest.raises(NotEstimableError, match="impossible counts"):
        require_possible(question, Tally.of(dict.fromkeys(symbols, 50000)))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("count = -1", "a count is damaged"),
        ("count = 0", "a count is damaged"),
        ("count = 1.5", "a count is damaged"),
        ("count = 'many'", "a count is damaged"),
        ("count = 9007199254740993", "a count is damaged"),
        ("symbol = -1", "a count is damaged"),
        ("symbol = 'a'", "a count is damaged"),
    ],
)
def test_a_damaged_count_is_an_error_never_a_figure(database: Path, damage: str, message: str) -> None:
    """Also for a single row among thousands."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            f"UPDATE counts SET {damage} WHERE (cell, symbol) = (SELECT cell, symbol FROM counts ORDER BY 1, 2 LIMIT 1)"
        )
    result = CliRunner().invoke(main, ["estimate", "shop", "--database", str(database)])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"Error: {database}: the counts of shop v1 cannot be read: {message}\n"


@pytest.mark.parametrize("damage", ["question = 'gone'", "question = 'returned'", 'cohort = \'{"platform":"tv"}\''])
def test_a_cell_that_the_survey_cannot_have_is_an_error(database: Path, damage: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(f"UPDATE cells SET {damage} WHERE cell = (SELECT min(cell) FROM cells)")
    result = CliRunner().invoke(main, ["estimate", "shop", "--database", str(database), "--by", "platform"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"Error: {database}: the counts of shop v1 cannot be read: a cell is damaged\n"


def test_more_reports_than_a_float_can_count_are_an_error(
    survey: Survey, write_database: Callable[..., Path], tmp_path: Path
) -> None:
    half = Tally.of({0: 2**52})
    assert (half + half).n == 2**53
    with pytest.raises(EstimateError, match=r"a tally has at most 2\^53 reports, got 1.126e\+16"):
        _ = half + half + Tally.of({1: 2**51})
    stored = {cell(survey, "frequency"): Tally.of({0: 2**53}), cell(survey, "affinity"): Tally.of([0])}
    database = write_database(tmp_path / "large.db", survey, stored)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("INSERT INTO counts SELECT cell, 1, count FROM counts WHERE count > 1")
    result = CliRunner().invoke(main, ["estimate", "shop", "--database", str(database)])
    assert (result.exit_code, result.stdout) == (1, "")
    assert "a cell is damaged" in result.stderr


def test_unpublished_rows_have_no_figures(survey: Survey) -> None:
    rows = summarize(survey, {cell(survey, "frequency"): Tally.of({0: 5_000})}, questions=["frequency"])
    for row in rows:
        figures = json.loads(json.dumps([row.estimate, row.standard_error, row.low, row.high, row.detected]))
        assert figures == [None] * 5
