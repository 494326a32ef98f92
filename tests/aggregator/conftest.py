"""A small survey, and a database file with the collector's tables."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import astuple, replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from hushtally.aggregator.tally import Tally
from hushtally.client_sdk.protocol.cell import Cell
from hushtally.client_sdk.protocol.store_file import (
    CELLS,
    COLLECTOR,
    COLLECTOR_SCHEMA,
    COLLECTOR_TABLES,
    COUNTS,
    SURVEYS,
)
from hushtally.client_sdk.survey import Survey
from survey_builder import AFFINITY, FAVOURITE, ORDERS, PLATFORMS, Table, survey_text

QUESTIONS: list[Table] = [
    {
        "id": "frequency",
        "segments": [{"id": "none", "when": "orders == 0"}, {"id": "once", "when": "orders == 1"}, {"id": "heavy"}],
    },
    AFFINITY | {"categories": ["books", "music", "games"]},
    {"id": "returned", "segments": [{"id": "yes", "when": "orders > 1"}, {"id": "no"}], "only_crossed": True},
    {"id": "both", "cross": ["frequency", "returned"]},
]
SURVEY = survey_text(
    QUESTIONS,
    id="shop",
    title="How people shop",
    purpose="To decide which offers to build.",
    owner="insights@shop.example",
    ends=date(2027, 5, 2),
    epoch="week",
    retention_days=3660,  # the command reads this machine's clock
    min_reports=500,
    privacy={"answers_every": 4},
    cohorts=PLATFORMS | {"plan": ["free", "paid"]},
    signals={"orders": ORDERS | {"days": 90}, "favourite": FAVOURITE | {"days": 90}},
)

Write = Callable[[Path, Survey, Mapping[Cell, Tally]], Path]


@pytest.fixture(name="survey_text")
def _survey_text() -> str:
    return SURVEY


@pytest.fixture
def survey() -> Survey:
    return Survey.parse(SURVEY)


@pytest.fixture
def write_database() -> Write:
    """Adds a survey and its tallies to a database file, as the collector does; creates a missing file."""

    def write(path: Path, survey: Survey, tallies: Mapping[Cell, Tally]) -> Path:
        fresh = not path.exists()
        connection = sqlite3.connect(path)
        if fresh:
            for table in COLLECTOR_TABLES:
                connection.execute(table.create)
            connection.execute(f"PRAGMA application_id = {COLLECTOR}")
            connection.execute(f"PRAGMA user_version = {COLLECTOR_SCHEMA}")
        stored = (survey.id, survey.version, survey.digest, json.dumps(survey.resolved))
        connection.execute(SURVEYS.insert, stored)
        for other, tally in tallies.items():
            cell = replace(other, survey=survey.id, version=survey.version)
            connection.execute(CELLS.insert, (cell.key, *astuple(cell)))
            pairs = zip(tally.symbols.tolist(), tally.counts.tolist(), strict=True)
            connection.executemany(COUNTS.insert, [(cell.key, *pair) for pair in pairs])
        connection.commit()
        connection.close()
        return path

    return write


@pytest.fixture
def tallies(survey: Survey) -> dict[Cell, Tally]:
    """Two epochs of uniform symbols: at least 400 reports per cohort in the first epoch, 100 in the second."""
    rng = np.random.default_rng(7)
    found = {}
    for index, cohort in enumerate(survey.all_cohorts()):
        for question in survey.asked:
            for epoch, reports in (("2026-W46", 100), ("2026-W45", 400 + 100 * index)):
                symbols = rng.integers(0, question.mechanism.symbols, reports)
                found[Cell.of(survey.id, survey.version, question.id, cohort, epoch)] = Tally.of(symbols)
    return found


@pytest.fixture
def database(tmp_path: Path, write_database: Write, survey: Survey, tallies: dict[Cell, Tally]) -> Path:
    return write_database(tmp_path / "hushtally.db", survey, tallies)
