"""`hushtally estimate SURVEY STATISTIC`: what every statistic of the command has in common."""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from hushtally.aggregator.estimate_command import STATISTICS
from hushtally.aggregator.tally import Tally
from hushtally.cli import main
from hushtally.client_sdk.protocol.cell import Cell
from hushtally.client_sdk.survey import Survey
from hushtally.simulations.sampling import draw_tally

FREE_AND_PAID = ("--customers", "plan=free=300", "--customers", "plan=paid=100")
OPTIONS: dict[str, tuple[str, ...]] = {
    "rate": ("--outcome", "returned=yes"),
    "change": ("--from", "2026-W45", "--to", "2026-W46", "--question", "both"),
    "trend": ("--question", "both"),
    "pool": ("--question", "both"),
    "rank": ("--question", "affinity"),
    "lift": (),
    "membership": ("--question", "affinity"),
    "mean": ("--cap", "500"),
    "quantile": ("--cap", "500"),
    "linear": ("--question", "affinity", "--weight", "books=1", "--weight", "music=-0.5"),
}


@pytest.fixture
def database(tmp_path: Path, write_database: Callable[..., Path], survey_text: str) -> Path:
    """The survey of all tests here has a question with a number, too. One of two epochs has enough reports."""
    number = '[[questions]]\nid = "basket"\nnumber = "orders"\nedges = [0, 20, 50]\notherwise = "none"\n'
    survey = Survey.parse(survey_text + number)
    random = np.random.default_rng(7)
    tallies = {}
    for index, cohort in enumerate(survey.all_cohorts()):
        for question in survey.asked:
            for epoch, reports in (("2026-W46", 100), ("2026-W45", 400 + 100 * index)):
                cell = Cell.of(survey.id, survey.version, question.id, cohort, epoch)
                tallies[cell] = Tally.of(random.integers(0, question.mechanism.symbols, reports))
    return write_database(tmp_path / "hushtally.db", survey, tallies)


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
        assert row["published"] == (row["low"] is not None) == (row["reason"] is None)
        assert row["estimate"] is None or row["published"]
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
        (("linear", "--weight", "books=1"), "'--question': must name one question, got 4"),
        (("linear", "--question", "affinity", "--weight", "boks=1"), "must name a segment of affinity, got 'boks'"),
        (("linear", "--question", "affinity", "--weight", "books"), "must be a segment and a number, like heavy=1"),
        (("linear", "--question", "affinity", "--weight", "books=inf"), "must be a segment and a number, like heavy=1"),
        (("rate", "--outcome", "affinity=books"), "must be a crossed question and its segment, like returned=yes"),
        (("rate", "--outcome", "returned=yess"), "must be a segment of returned, got 'yess'; did you mean 'yes'?"),
        (("rate", "--outcome", "returned=yes", "--outcome", "frequency=once"), "must be segments of one question, got"),
        (("rate", "--outcome", "returned=yes", "--within", "freq"), "must be a question that is crossed with returned"),
        (("rate", "--outcome", "returned=yes", "--versus", "nobody"), "must be a segment of a question that is"),
        (("rate", "--outcome", "returned=yes", "--ratio"), "'--ratio': needs --versus"),
        (("change", "--from", "2026-W44", "--to", "2026-W46"), "'--from': must be an epoch with reports"),
        (("change", "--from", "2026-W45", "--to", "2026-W45:2026-W46"), "must not share an epoch with --from"),
        (("change", "--from", "2026-W45", "--to", "2026-W46", "--overlap", "9"), "needs memory = 'permanent' and two"),
        (("pool", "--customers", "plan=free"), "'--customers': must be like platform=web=40000, got 'plan=free'"),
        (("pool", "--customers", "plan=free=-1"), "must be like platform=web=40000, got 'plan=free=-1'"),
        (("pool", "--customers", "plan=free=1", "--customers", "platform=web=1"), "must name one cohort, got plan"),
        (("pool", "--customers", "plna=free=1"), "must name a cohort that is not in --by, got 'plna'; did you mean"),
        (("pool", "--customers", "plan=free=1", "--by", "plan"), "must name a cohort that is not in --by, got 'plan'"),
        (("pool", "--customers", "plan=fre=1"), "must be given for every value of plan, but 'free' has none"),
        (("pool", *FREE_AND_PAID, "--customers", "plan=fre=1"), "must name a value of plan, got 'fre'; did you mean"),
        (("rank", "--top", "4"), "'--top': must be at most 3, the number of segments of frequency, got 4"),
        (("rank", "--top", "0"), "0 is not in the range x>=1"),
        (("lift", "--question", "affinity"), "'--question': must name a question with cross"),
        (("mean", "--cap", "50"), "'--cap': must be above the last edge of basket, 50, got 50"),
        (("mean", "--cap", "90", "--otherwise", "1"), "'--otherwise': must be at most the first edge of basket, 0"),
        (("mean", "--cap", "90", "--question", "both"), "must name a question with number and edges; the selected"),
        (("mean",), "Missing option '--cap'"),
        (("quantile", "--at", "1", "--cap", "90"), "1.0 is not in the range 0<x<1"),
        (("quantile", "--cap", "90", "--question", "both"), "must name a question with number and edges; the selected"),
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
        assert [row["epoch"] for row in rows if row["segment"] == "once"] == ["2026-W45", "2026-W46"]


@pytest.fixture
def crossed(survey: Survey, write_database: Callable[..., Path], tmp_path: Path) -> Path:
    """One epoch of 20,000 reports at epsilon 1: 30% of `none`, 40% of `once` and 50% of the few `heavy` returned."""
    question = survey.question("both")
    held = (20_000 * np.array([0.15, 0.35, 0.16, 0.24, 0.05, 0.05])).astype(int)
    cell = Cell.of(survey.id, survey.version, question.id, {"platform": "web", "plan": "free"}, "2026-W45")
    tally = draw_tally(question.mechanism, held, np.random.default_rng(1))
    return write_database(tmp_path / "crossed.db", survey, {cell: tally})


def test_a_rate_is_printed_for_every_segment_of_every_crossed_question(crossed: Path) -> None:
    rows = json.loads(run(crossed, "shop", "rate", "--outcome", "returned=yes", "--format", "json").stdout)
    assert [(row["segment"], row["kind"], row["outcome"], row["quality"]) for row in rows] == [
        ("none", "rate", "returned=yes", "good"),
        ("once", "rate", "returned=yes", "good"),
        ("heavy", "rate", "returned=yes", "good"),
    ]
    for row, rate in zip(rows, (0.3, 0.4, 0.5), strict=True):
        assert row["simultaneous_low"] < row["low"] < row["estimate"] < row["high"] < row["simultaneous_high"]
        assert abs(row["estimate"] - rate) < 4 * row["standard_error"]
    table = run(crossed, "shop", "rate", "--outcome", "returned=yes").stdout
    assert table.startswith("both  returned=yes  2026-W45")
    both = ("rate", "--outcome", "returned=yes", "--outcome", "returned=no", "--format", "json")
    assert run(crossed, "shop", *both).exit_code == 1
    buyers = ("--outcome", "frequency=once", "--outcome", "frequency=heavy")
    within = run(crossed, "shop", "rate", *buyers, "--format", "json")
    assert [row["segment"] for row in json.loads(within.stdout)] == ["yes", "no"]
    assert json.loads(within.stdout)[0]["outcome"] == "frequency=once or frequency=heavy"


def test_a_rate_inside_a_segment_of_too_few_customers_is_not_printed(crossed: Path, survey: Survey) -> None:
    with closing(sqlite3.connect(crossed)) as connection, connection:
        connection.execute("UPDATE counts SET count = count / 12 + 1")
    rows = json.loads(run(crossed, "shop", "rate", "--outcome", "returned=yes", "--format", "json").stdout)
    assert [row["quality"] for row in rows] == ["good", "good", None]
    assert rows[2]["estimate"] is None
    reason = r"too few customers to estimate a rate: its share is [123]\.\d standard errors, and 4 are needed"
    assert re.fullmatch(reason, rows[2]["reason"])
    assert rows[2]["reason"] in run(crossed, "shop", "rate", "--outcome", "returned=yes").stdout


@pytest.mark.parametrize(("options", "kind", "neutral"), [((), "difference", 0), (("--ratio",), "ratio", 1)])
def test_rates_are_compared_with_one_segment(crossed: Path, options: tuple[str, ...], kind: str, neutral: int) -> None:
    arguments = ("shop", "rate", "--outcome", "returned=yes", "--versus", "none", *options)
    rows = json.loads(run(crossed, *arguments, "--format", "json").stdout)
    assert [(row["segment"], row["versus"], row["kind"]) for row in rows] == [
        ("once", "none", kind),
        ("heavy", "none", kind),
    ]
    assert all(row["low"] > neutral and row["detected"] for row in rows)
    assert "compared with none" in run(crossed, *arguments).stdout


def test_a_trend_needs_two_epochs(database: Path) -> None:
    options = ("shop", "trend", "--epoch", "2026-W45", "--question", "frequency", "--format", "json")
    rows = json.loads(run(database, *options).stdout)
    assert [(row["segment"], row["reason"]) for row in rows] == [
        (segment, "a trend needs at least two epochs with reports") for segment in ("none", "once", "heavy")
    ]


def test_a_change_needs_enough_reports_on_both_sides(database: Path) -> None:
    """Epoch 2026-W46 has 400 reports; 500 are needed. Both epochs and the first are named."""
    options = ("--question", "frequency", "--from", "2026-W45", "--to", "2026-W46", "--format", "json")
    rows = json.loads(run(database, "shop", "change", *options).stdout)
    assert {(row["epoch"], row["versus"], row["reason"]) for row in rows} == {
        ("2026-W46", "2026-W45", "fewer than 500 reports: 400")
    }


def test_a_trend_and_a_change_have_figures_for_every_segment(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE counts SET count = count * 4")
    options = ("--question", "frequency", "--format", "json")
    trend = json.loads(run(database, "shop", "trend", *options).stdout)
    change = json.loads(run(database, "shop", "change", "--from", "2026-W45", "--to", "2026-W46", *options).stdout)
    for slope, difference in zip(trend, change, strict=True):
        assert slope["epoch"] == "2026-W45:2026-W46"
        assert (slope["kind"], difference["kind"]) == ("trend", "difference")
        assert slope["estimate"] == difference["estimate"]
        assert 0 <= slope["p_value"] <= 1
        assert difference["simultaneous_low"] < difference["low"] < difference["high"] < difference["simultaneous_high"]


def test_groups_are_pooled_by_their_customers_in_every_epoch(database: Path) -> None:
    """Rows state what they are weighted by. A group with customers needs reports."""
    options = ("shop", "pool", *FREE_AND_PAID, "--question", "frequency", "--epoch", "2026-W45", "--format", "json")
    rows = json.loads(run(database, *options).stdout)
    alone = json.loads(run(database, "shop", *options[6:], "--by", "plan").stdout)
    for segment in range(3):
        expected = 0.75 * alone[segment]["estimate"] + 0.25 * alone[3 + segment]["estimate"]
        assert rows[segment]["estimate"] == pytest.approx(expected)
        assert (rows[segment]["pooling"], rows[segment]["kind"], rows[segment]["reports"]) == (
            "customers",
            "share",
            2200,
        )
        assert alone[segment]["pooling"] == "reports"
    assert "weighted by customers" in run(database, *options[:-2]).stdout
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DELETE FROM counts WHERE cell IN (SELECT cell FROM cells WHERE cohort LIKE '%paid%')")
    assert json.loads(run(database, *options).stdout)[0]["reason"] == "no reports of paid, which has customers"
    free = ("shop", "pool", "--customers", "plan=free=1", "--customers", "plan=paid=0", *options[6:])
    assert json.loads(run(database, *free).stdout)[0]["estimate"] == pytest.approx(alone[0]["estimate"])


def test_epochs_are_pooled_by_their_reports(database: Path) -> None:
    rows = json.loads(run(database, "shop", "pool", "--question", "frequency", "--format", "json").stdout)
    assert {(row["epoch"], row["reports"], row["pooling"]) for row in rows} == {("2026-W45:2026-W46", 2600, "reports")}


def test_ranks_say_which_segments_are_among_the_largest(crossed: Path) -> None:
    """The cells of the cross have 35, 24, 16, 15, 5 and 5% of the customers, in another order."""
    for k, top in ((1, ["no", "yes", "no", "no", "no", "no"]), (2, ["no", "yes", "no", "yes", "no", "no"])):
        rows = json.loads(run(crossed, "shop", "rank", "--top", str(k), "--format", "json").stdout)
        assert [row["top"] for row in rows] == top
        assert {row["outcome"] for row in rows} == {"the largest" if k == 1 else "top 2"}
        assert all(row["low"] <= row["estimate"] <= row["high"] and row["kind"] == "rank" for row in rows)
    assert "surely top 2" in run(crossed, "shop", "rank", "--top", "2").stdout


def test_pairs_have_an_interval_for_all_differences_at_once(crossed: Path) -> None:
    rows = json.loads(run(crossed, "shop", "rank", "--pairs", "--format", "json").stdout)
    assert len(rows) == 6 * 5
    for row in rows:
        [back] = [other for other in rows if (other["segment"], other["versus"]) == (row["versus"], row["segment"])]
        assert back["estimate"] == -row["estimate"]
        assert row["simultaneous_low"] < row["low"] < row["estimate"] < row["high"] < row["simultaneous_high"]
        assert row["kind"] == "difference"


def test_lifts_have_clusters_or_a_reason(crossed: Path) -> None:
    """Customers in `none` did not return more often than others; an eighth of the reports do not show it."""
    rows = json.loads(run(crossed, "shop", "lift", "--format", "json").stdout)
    assert [row["segment"] for row in rows] == [
        f"{frequency} & {returned}" for frequency in ("none", "once", "heavy") for returned in ("yes", "no")
    ]
    assert {row["outcome"] for row in rows} == {"frequency x returned"}
    assert [row["cluster"] for row in rows] == [None, 1, None, None, None, None]
    table = run(crossed, "shop", "lift").stdout
    assert re.search(r"^none & no  .*  cluster 1$", table, re.MULTILINE)
    with closing(sqlite3.connect(crossed)) as connection, connection:
        connection.execute("UPDATE counts SET count = count / 12 + 1")
    rows = json.loads(run(crossed, "shop", "lift", "--format", "json").stdout)
    assert {row["cluster"] for row in rows} == {None}
    assert re.fullmatch(
        r"too few customers to estimate a lift: the share of one segment is [123]\.\d standard errors, and 4 are .*",
        rows[4]["reason"],
    )


def test_a_number_has_an_interval_and_no_estimate(database: Path) -> None:
    """The ranges determine only bounds. The row names the number, and the quantile."""
    options = ("--cap", "500", "--epoch", "2026-W45", "--format", "json")
    [row] = json.loads(run(database, "shop", "mean", *options).stdout)
    assert (row["kind"], row["segment"], row["question"], row["estimate"]) == ("mean", "orders", "basket", None)
    assert 0 < row["low"] < row["high"] < 500
    [zero] = json.loads(run(database, "shop", "mean", *options, "--otherwise", "0").stdout)
    assert zero["high"] < row["high"]
    rows = json.loads(run(database, "shop", "quantile", *options, "--at", "0.25", "--at", "0.5").stdout)
    assert [(row["kind"], row["segment"], row["outcome"]) for row in rows] == [
        ("quantile", "0.25", "orders"),
        ("quantile", "0.5", "orders"),
    ]
    assert {row[end] for row in rows for end in ("low", "high")} <= {0, 20, 50, 500}
    table = run(database, "shop", "mean", *options[:-2]).stdout
    assert re.search(r"^segment +95% interval$", table, re.MULTILINE)
    assert "There is no single estimate." in table
