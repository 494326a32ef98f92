"""`hushtally estimate` on a database file: its output, and the messages for mistakes."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hushtally.aggregator.tally import Tally
from hushtally.cli import main
from hushtally.client_sdk.protocol.cell import Cell
from hushtally.client_sdk.state.file import State
from hushtally.client_sdk.survey import Survey

KEYS = [
    "survey", "version", "question", "epoch", "cohort", "segment", "kind", "reports", "estimate", "standard_error",
    "low", "high", "simultaneous_low", "simultaneous_high", "consistent", "published", "reason",
    "confidence", "population", "detected", "complete", "outcome", "versus", "quality", "p_value", "pooling",
    "top", "cluster",
]  # fmt: skip


def run(database: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["estimate", *arguments, "--database", str(database)])


def rows(result: Result) -> list[dict[str, object]]:
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert isinstance(found, list)
    return found


def test_json_has_the_documented_keys_in_their_order(database: Path) -> None:
    found = rows(run(database, "shop", "--format", "json"))
    assert all(list(row) == KEYS for row in found)
    assert len(found) == 2 * (3 + 4 + 6)
    first, last = found[0], found[-1]
    assert (first["question"], first["epoch"], first["segment"], first["cohort"]) == (
        "frequency",
        "2026-W45",
        "none",
        {},
    )
    assert first["published"] is True
    assert first["reason"] is None
    assert first["reports"] == 2200
    assert (last["question"], last["epoch"], last["segment"]) == ("both", "2026-W46", "heavy & no")
    assert last["published"] is False
    assert last["reason"] == "fewer than 500 reports: 400"
    assert last["estimate"] is None


def test_csv_has_the_rows_of_the_json_with_cohorts_in_one_field_and_empty_fields_for_null(database: Path) -> None:
    options = ("shop", "--by", "plan", "--by", "platform")
    found = rows(run(database, *options, "--format", "json"))
    result = run(database, *options, "--format", "csv")
    lines = list(csv.DictReader(io.StringIO(result.stdout)))
    assert list(lines[0]) == KEYS
    assert len(lines) == len(found)
    assert lines[0]["cohort"] == "plan=free;platform=web"
    assert lines[0]["estimate"] == ""
    assert lines[0]["published"] == "false"
    assert lines[3]["published"] == "true"
    assert float(lines[3]["estimate"]) == found[3]["estimate"]


def test_a_piped_table_has_at_most_100_columns(database: Path) -> None:
    result = run(database, "shop@1", "--by", "platform")
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 100
    assert re.search(r"^frequency  2026-W45( \(open: .*\))?  platform=web  900 reports$", result.stdout, re.MULTILINE)
    assert "not published: fewer than 500 reports: 200" in result.stdout


def test_a_survey_file_selects_the_survey_like_its_id(database: Path, survey_text: str, tmp_path: Path) -> None:
    file = tmp_path / "shop.toml"
    file.write_text(survey_text)
    assert run(database, str(file), "--format", "json").stdout == run(database, "shop", "--format", "json").stdout


def test_the_options_select_rows_and_change_the_intervals(database: Path) -> None:
    found = rows(run(database, "shop", "--question", "affinity", "--epoch", "2026-W45", "--format", "json"))
    assert [row["segment"] for row in found] == ["books", "music", "games", "other"]
    options = ("shop", "--question", "affinity", "--epoch", "2026-W45", "--format", "json")
    for option in (("--confidence", "0.9999"), ("--population", "respondents")):
        other = rows(run(database, *options, *option))
        assert other[0]["estimate"] == found[0]["estimate"]
        assert other[0]["high"] != found[0]["high"]


def test_every_row_has_its_confidence_and_population(database: Path) -> None:
    """Otherwise an 80% interval could be taken for a 95% interval. Unpublished rows have both too."""
    for options, confidence, population in (
        ((), 0.95, "customers"),
        (("--confidence", "0.8", "--population", "respondents"), 0.8, "respondents"),
    ):
        found = rows(run(database, "shop", *options, "--format", "json"))
        assert {(row["confidence"], row["population"]) for row in found} == {(confidence, population)}
        assert {row["published"] for row in found} == {True, False}
        lines = csv.DictReader(io.StringIO(run(database, "shop", *options, "--format", "csv").stdout))
        assert {(line["confidence"], line["population"]) for line in lines} == {(str(confidence), population)}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("shpo",), 1, "has no survey 'shpo'; did you mean 'shop'?"),
        (("shop@3",), 1, "has no version 3 of 'shop'; known: 1"),
        (("shop@x",), 2, "Invalid value for SURVEY: version must be a number, got 'x'"),
        (("shop@",), 2, "version must be a number, got ''"),
        (("gone/shop",), 1, "gone/shop: cannot be read: No such file or directory"),
        (("gone.toml",), 1, "gone.toml: cannot be read: No such file or directory"),
        (("shop", "--question", "frequenzy"), 2, "'--question': must be a question of shop v1, got 'frequenzy'; did"),
        (
            ("shop", "--question", "returned"),
            2,
            "got 'returned', which is only part of a crossed question; known: affinity, both, frequency",
        ),
        (("shop", "--epoch", "2026-W44"), 2, "'--epoch': must be an epoch with reports, got '2026-W44'; did you"),
        (("shop", "--by", "platfrom"), 2, "'--by': must be a cohort of shop v1, got 'platfrom'; did you mean"),
        (("shop", "--confidence", "1"), 2, "1.0 is not in the range 0.5<=x<=0.9999"),
        (("shop", "--smooth", "100"), 2, "100.0 is not in the range 0<=x<100"),
        (
            ("shop", "--smooth", "1", "--population", "respondents"),
            2,
            "'--smooth': needs --population customers",
        ),
        (("shop", "--always-valid", "--smooth", "1"), 2, "'--always-valid': cannot be combined with --smooth"),
        (
            ("shop", "--always-valid", "--population", "respondents"),
            2,
            "'--always-valid': needs --population",
        ),
        (("shop", "--smooth", "1", "--smooth-gap", "3"), 2, "'--smooth-gap': cannot be combined with --smooth"),
        (("shop", "--smooth-gap", "3"), 2, "'--smooth-gap': needs --by: the gap is that of a group to all customers"),
        (("shop", "--format", "xml"), 2, "'xml' is not one of 'table', 'json', 'csv'"),
        ((), 2, "Missing argument 'SURVEY'"),
    ],
)
def test_a_mistake_gets_one_clear_line(database: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    result = run(database, *arguments)
    assert result.exit_code == code
    assert message in result.stderr
    assert result.stdout == ""
    if code == 1:
        assert len(result.stderr.splitlines()) == 1


def test_every_mistake_in_a_survey_file_is_reported(database: Path, survey_text: str, tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(survey_text.replace("epsilon = 1.0", "epsilon = 80").replace('"purchase"', '"pur chase"'))
    result = run(database, str(file))
    assert result.exit_code == 1
    assert f"Error: {file}: privacy.epsilon" in result.stderr
    assert f"\nError: {file}: signals.orders" in result.stderr


def test_a_changed_survey_file_is_refused_with_the_differences(
    database: Path, survey_text: str, tmp_path: Path
) -> None:
    file = tmp_path / "changed.toml"
    file.write_text(survey_text.replace("min_reports = 500", "min_reports = 5"))
    result = run(database, str(file))
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: shop v1 was changed since it was first collected: min_reports: 500 -> 5; give the changed survey a new"
        " version (hushtally survey diff OLD NEW shows all changes), or read what was collected: "
        "hushtally estimate shop@1\n"
    )


@pytest.mark.parametrize(("form", "empty"), [("json", "[]\n"), ("csv", ",".join(KEYS) + "\n"), ("table", "")])
def test_a_survey_without_reports_is_not_an_error(
    survey: Survey, write_database: Callable[..., Path], tmp_path: Path, form: str, empty: str
) -> None:
    database = write_database(tmp_path / "new.db", survey, {})
    result = run(database, "shop", "--format", form, "--epoch", "2026-W45")
    assert result.exit_code == 0
    assert result.stdout == empty
    assert result.stderr == (
        f"{database} has no reports of shop v1: none were collected yet, or their retention has ended\n"
    )


@pytest.mark.parametrize(
    ("line", "name", "known"),
    [("version = 2", "shop v2", "version 1"), ('id = "market"\nversion = 1', "market v1", "no survey 'market'")],
)
def test_a_survey_file_that_was_never_served_is_an_error(
    database: Path, survey_text: str, tmp_path: Path, line: str, name: str, known: str
) -> None:
    """The message states what the database contains, and what the user probably forgot."""
    file = tmp_path / "next.toml"
    file.write_text(survey_text.replace('id = "shop"\nversion = 1' if "id" in line else "version = 1", line))
    result = run(database, str(file), "--format", "json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"Error: {database} does not contain {name} (it contains {known});"
        f" is `hushtally serve` running with {file} and this database?\n"
    )


def test_other_versions_with_reports_are_mentioned(
    database: Path, survey: Survey, survey_text: str, tallies: dict[Cell, Tally], write_database: Callable[..., Path]
) -> None:
    """An id without a version selects the newest version, and every other version with reports is mentioned."""
    one_week = {cell: tally for cell, tally in tallies.items() if cell.epoch == "2026-W46"}
    for version, stored in ((2, {}), (3, one_week), (12, one_week)):
        write_database(database, Survey.parse(survey_text.replace("version = 1", f"version = {version}")), stored)
    newest = run(database, "shop", "--format", "json")
    assert {row["version"] for row in rows(newest)} == {12}
    assert newest.stderr == (
        "showing shop v12; v1 has reports of 2026-W45 to 2026-W46: use shop@1 to read them\n"
        "showing shop v12; v3 has reports of 2026-W46: use shop@3 to read them\n"
    )
    assert run(database, "shop@12").stderr == ""
    assert "v1 has reports of 2026-W45" in run(database, "shop", "--epoch", "2026-W45").stderr
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE surveys SET definition = '[' WHERE version = 1")
        connection.execute("UPDATE cells SET epoch = '2006-W45' WHERE version = 3 AND epoch = '2026-W46'")
    connection.close()
    assert run(database, "shop").stderr == ""


def test_the_table_of_a_long_domain_has_the_largest_segments(
    tmp_path: Path, survey_text: str, write_database: Callable[..., Path]
) -> None:
    names = ", ".join(f'"c{index}"' for index in range(99))
    survey = Survey.parse(survey_text.replace('"books", "music", "games"', names))
    cell = Cell.of("shop", 1, "affinity", {"platform": "web", "plan": "free"}, "2026-W45")
    tally = Tally.of(range(min(survey.question("affinity").mechanism.symbols, 900)))
    database = write_database(tmp_path / "long.db", survey, {cell: tally})
    result = run(database, "shop")
    assert "the 50 largest segments; --format csv or json has 50 more" in result.stdout
    assert len(rows(run(database, "shop", "--format", "json"))) == 100


def test_the_environment_may_name_the_database(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUSHTALLY_DATABASE", str(database))
    assert CliRunner().invoke(main, ["estimate", "shop"]).exit_code == 0


def test_the_message_states_why_a_database_cannot_be_read(tmp_path: Path, database: Path) -> None:
    missing = run(tmp_path / "none.db", "shop")
    text = tmp_path / "text.db"
    text.write_text("no database at all, but long enough to be taken for one\n" * 20)
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE t(x)")
    connection.close()
    device = tmp_path / "device.db"
    State(str(device)).close()
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    for result, message in (
        (missing, "this database does not exist"),
        (run(text, "shop"), f"Error: {text} is not a hushtally database"),
        (run(other, "shop"), f"Error: {other} is not a hushtally database"),
        (run(device, "shop"), f"Error: {device} is a device's state file, not a collector's database"),
        (run(tmp_path, "shop"), f"Error: {tmp_path} is a folder, not a database"),
        (
            run(database, "shop"),
            "was written by a newer hushtally (schema 2; this version supports 1); upgrade hushtally",
        ),
    ):
        assert result.exit_code == 1
        assert message in result.stderr
        assert len(result.stderr.splitlines()) == 1


def test_a_backup_beside_the_log_of_a_crash_is_refused(database: Path, tmp_path: Path) -> None:
    """The collector refuses it too: SQLite would mix the log in, also behind a link. Without the log, it is read."""
    log = database.with_name(f"{database.name}-wal")
    copy = tmp_path / "crashed"
    copy.mkdir()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("VACUUM INTO ?", (str(copy / database.name),))
        before = rows(run(database, "shop", "--format", "json"))
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("UPDATE counts SET count = count + 1")
        connection.commit()
        crashed = copy / log.name
        shutil.copy(log, crashed)
    (tmp_path / "link.db").symlink_to(copy / database.name)
    for path in (copy / database.name, tmp_path / "link.db"):
        result = run(path, "shop")
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == (
            f"Error: {copy / database.name} was put in the place of another database whose write-ahead log is still"
            f" there and may contain its last counts. Stop the collector, then move {crashed} and"
            f" {copy / database.name}-shm to another folder\n"
        )
    crashed.unlink()
    assert rows(run(copy / database.name, "shop", "--format", "json")) == before


def test_smoothed_shares_have_shorter_intervals_and_are_marked(database: Path) -> None:
    """All epochs help, also those that are not selected. A declaration that the data refute is named in the table."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE counts SET count = count * 4")
    options = ("shop", "--question", "frequency", "--epoch", "2026-W46", "--format", "json")
    alone, smoothed = rows(run(database, *options)), rows(run(database, *options, "--smooth", "0.1"))
    for single, found in zip(alone, smoothed, strict=True):
        assert (found["kind"], found["quality"], found["epoch"]) == ("share", "smoothed", "2026-W46")
        assert found["high"] - found["low"] < 0.8 * (single["high"] - single["low"])  # type: ignore[operator]
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            "UPDATE counts SET count = count * 3 / 2 WHERE symbol = 0 AND cell IN"
            " (SELECT cell FROM cells WHERE epoch = '2026-W46' AND question = 'frequency')"
        )
    [first, *_] = rows(run(database, *options, "--smooth", "0.1"))
    assert first["quality"] == "refuted"
    assert first["low"] == pytest.approx(rows(run(database, *options))[0]["low"])
    table = run(database, *options[:-2], "--smooth", "0.1").stdout
    assert re.search(r"^none .* refuted$", table, re.MULTILINE)
    assert "refuted: the share moved by more than you declared, so its figures are those of the epoch alone." in table


def test_always_valid_intervals_are_longer_and_marked(database: Path) -> None:
    options = ("shop", "--question", "frequency", "--epoch", "2026-W45")
    plain, valid = (rows(run(database, *options, "--format", "json", *more)) for more in ((), ("--always-valid",)))
    for single, found in zip(plain, valid, strict=True):
        assert found["low"] < single["low"] < single["high"] < found["high"]  # type: ignore[operator]
        assert (found["kind"], found["quality"], found["estimate"]) == ("share", "always-valid", single["estimate"])
    assert "The intervals hold however often you look" in run(database, *options, "--always-valid").stdout
    assert "about twice as long" in " ".join(CliRunner().invoke(main, ["estimate", "--help"]).stdout.split())


def test_the_gap_of_a_group_is_smoothed_where_all_groups_have_reports(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE counts SET count = count * 4")
    options = ("shop", "--question", "frequency", "--by", "plan", "--format", "json")
    alone, smoothed = rows(run(database, *options)), rows(run(database, *options, "--smooth-gap", "3"))
    for single, found in zip(alone, smoothed, strict=True):
        assert (found["quality"], found["cohort"], found["epoch"]) == ("smoothed", single["cohort"], single["epoch"])
        assert found["high"] - found["low"] < single["high"] - single["low"]  # type: ignore[operator]
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            "DELETE FROM counts WHERE cell IN"
            " (SELECT cell FROM cells WHERE epoch = '2026-W46' AND cohort LIKE '%paid%')"
        )
    found = rows(run(database, *options, "--smooth-gap", "3"))
    assert {row["epoch"]: row["reason"] for row in found} == {
        "2026-W45": None,
        "2026-W46": "a gap needs reports of two groups, and of every group in the epoch",
    }
