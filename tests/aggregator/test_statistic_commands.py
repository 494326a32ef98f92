"""`hushtally estimate SURVEY STATISTIC`: what every statistic of the command has in common."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hushtally.aggregator.estimate_command import STATISTICS
from hushtally.cli import main

OPTIONS: dict[str, tuple[str, ...]] = {
    "linear": ("--question", "affinity", "--weight", "books=1", "--weight", "music=-0.5"),
}


def run(database: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["estimate", *arguments, "--database", str(database)])


def test_every_statistic_is_tested_here() -> None:
    assert OPTIONS.keys() == STATISTICS.keys()


@pytest.mark.parametrize("name", STATISTICS)
def test_every_statistic_has_help(name: str) -> None:
    """With and without a survey; the usage names SURVEY before the statistic."""
    for arguments in (["estimate", name, "--help"], ["estimate", "shop", name, "-h"]):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
        assert result.output.startswith(f"Usage: main estimate SURVEY {name} [OPTIONS]\n")
    assert f"\n  {name} " in CliRunner().invoke(main, ["estimate", "--help"]).output


@pytest.mark.parametrize("name", STATISTICS)
def test_every_statistic_prints_a_table_json_and_csv(database: Path, name: str) -> None:
    """JSON and CSV have the same rows; each row has a kind, and figures or a reason."""
    options = ("shop", name, *OPTIONS[name], "--by", "plan")
    found = run(database, *options, "--format", "json")
    assert (found.exit_code, found.stderr) == (0, "")
    rows = json.loads(found.stdout)
    lines = list(csv.DictReader(io.StringIO(run(database, *options, "--format", "csv").stdout)))
    assert [line["segment"] for line in lines] == [row["segment"] for row in rows]
    assert rows
    for row in rows:
        assert row["published"] == (row["estimate"] is not None) == (row["reason"] is None)
        assert row["kind"]
    table = run(database, *options)
    assert table.exit_code == 0
    assert max(map(len, table.stdout.splitlines())) <= 100
    for row in rows:
        assert row["segment"] in table.stdout or not row["published"]


@pytest.mark.parametrize("name", STATISTICS)
def test_every_statistic_takes_both_populations(database: Path, name: str) -> None:
    """An interval of the respondents is never wider: it leaves out the sampling."""
    found = {}
    for population in ("customers", "respondents"):
        options = ("shop", name, *OPTIONS[name], "--population", population, "--format", "json")
        found[population] = json.loads(run(database, *options).stdout)
    for customers, respondents in zip(found["customers"], found["respondents"], strict=True):
        assert respondents["population"] == "respondents"
        if customers["low"] is not None:
            width, narrower = (row["high"] - row["low"] for row in (customers, respondents))
            assert narrower <= width * (1 + 1e-9)


@pytest.mark.parametrize("name", STATISTICS)
def test_a_statistic_needs_a_survey(database: Path, name: str) -> None:
    result = run(database, name)
    assert result.exit_code == 1
    assert f"has no survey {name!r}" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("linear", "--weight", "books=1"), "'--question': must name one question, got 3"),
        (("linear", "--question", "affinity", "--weight", "boks=1"), "must name a segment of affinity, got 'boks'"),
        (("linear", "--question", "affinity", "--weight", "books"), "must be a segment and a number, like heavy=1"),
        (("linear", "--question", "affinity", "--weight", "books=inf"), "must be a segment and a number, like heavy=1"),
        (("linear", "--question", "affinity"), "Missing option '--weight'"),
        (("linear", "--epoch", "2026-W46:2026-W50", "--weight", "books=1"), "must name one question"),
        (("linear", "--epoch", "2026-W45:soon", "--weight", "books=1"), "must be a range of epochs: the label"),
        (("linear", "--epoch", "2026-W01:2026-W05", "--weight", "a=1"), "must be a range with reports, got '2026-W01:"),
    ],
)  # fmt: skip
def test_a_mistake_is_a_usage_error(database: Path, arguments: tuple[str, ...], message: str) -> None:
    result = run(database, "shop", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


def test_a_range_selects_all_epochs_in_it(database: Path) -> None:
    for names in (("2026-W45:2026-W46",), ("2026-W45", "2026-W40:2026-W46")):
        options = [option for name in names for option in ("--epoch", name)]
        rows = json.loads(run(database, "shop", *options, "--format", "json").stdout)
        assert [row["epoch"] for row in rows if row["segment"] == "none"] == ["2026-W45", "2026-W46"]
