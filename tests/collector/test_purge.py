"""`hushtally purge`: what is over is erased where no collector runs, and it says so."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hushtally.cli import main
from hushtally.client_sdk.protocol.report import Batch, Report
from hushtally.client_sdk.survey import Survey
from hushtally.collector.admission import admit
from hushtally.collector.sqlite_store import SqliteStore

TODAY = datetime.now(UTC).date()


@pytest.fixture(autouse=True)
def no_midnight(monkeypatch: pytest.MonkeyPatch) -> None:
    """The day does not change during a test."""
    monkeypatch.setattr("hushtally.collector.purge_cli.utc_today", lambda: TODAY)


def run(path: Path) -> Result:
    return CliRunner().invoke(main, ["purge", "--database", str(path)])


@pytest.fixture
def ended(text: Callable[..., str]) -> Survey:
    """Its epochs are kept for 30 days after the day after them; the first twelve are over."""
    return Survey.parse(text(TODAY - timedelta(days=33)).replace('id = "habits"', 'id = "old"'))


@pytest.fixture
def path(tmp_path: Path, ended: Survey) -> Path:
    """A database of it that nobody serves any more, with a count for every day."""
    path = tmp_path / "counts.db"
    with closing(SqliteStore(path)) as store:
        store.register([ended])
        for number in range(ended.epochs):
            day = ended.starts + timedelta(days=number)
            report = Report("affinity", day.isoformat(), {"platform": "web"}, 1)
            store.add([admit(Batch(f"{number:032x}", ended.id, 1, ended.digest, (report,)), [ended], day)])
    return path


def test_what_is_over_is_erased_from_the_disk(path: Path, ended: Survey) -> None:
    """It says which epochs went and when the next ones will; once more it finds nothing, which is no failure."""
    over = [ended.starts + timedelta(days=number) for number in range(12)]
    assert all(day.isoformat().encode() in path.read_bytes() for day in over)
    first = run(path)
    assert (first.exit_code, first.stderr) == (0, "")
    assert first.stdout == (
        f"old v1: erased the counts of 12 epochs, {over[0]} to {over[-1]};"
        f" the next counts are due on {TODAY + timedelta(days=1)}\n"
    )
    assert list(path.parent.iterdir()) == [path]
    bytes_left = path.read_bytes()
    assert not any(day.isoformat().encode() in bytes_left for day in over[1:])  # the first is in the definition
    with closing(sqlite3.connect(path)) as connection:
        left = {epoch for (epoch,) in connection.execute("SELECT epoch FROM cells")}
    assert left == {(ended.starts + timedelta(days=number)).isoformat() for number in range(12, ended.epochs)}
    again = run(path)
    assert (again.exit_code, again.stdout) == (
        0,
        f"old v1: nothing to erase; the next counts are due on {TODAY + timedelta(days=1)}\n",
    )


def test_a_database_without_counts_has_nothing_to_erase(tmp_path: Path, ended: Survey) -> None:
    path = tmp_path / "empty.db"
    SqliteStore(path).close()
    assert (run(path).exit_code, run(path).output) == (0, f"{path}: nothing to erase; it holds no survey\n")
    with closing(SqliteStore(path)) as store:
        store.register([ended])
    assert (run(path).exit_code, run(path).output) == (0, "old v1: nothing to erase; nothing is kept\n")


def test_one_epoch_is_named(path: Path, ended: Survey) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM cells WHERE epoch <> ?", (ended.starts.isoformat(),))
    assert run(path).stdout == f"old v1: erased the counts of {ended.starts}; nothing is kept\n"


def test_a_database_that_is_missing_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "nowhere.db"
    result = run(path)
    assert (result.exit_code, result.stderr) == (1, f"Error: {path}: there is no such database\n")
    assert not path.exists()


def test_a_database_that_may_not_be_looked_at_is_not_called_missing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    for method in ("stat", "open"):
        monkeypatch.setattr(Path, method, refuse)
    result = run(path)
    assert (result.exit_code, result.stderr) == (1, f"Error: {path} cannot be read: Permission denied\n")


def test_a_survey_that_cannot_be_purged_is_a_failure(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE surveys SET definition = '{}'")
    result = run(path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == ("Error: the counts of old v1 could not be erased: its stored definition cannot be read\n")


def test_a_log_that_somebody_reads_is_a_failure(path: Path) -> None:
    """The log holds what was erased until the reader has gone; then a run empties it."""
    with closing(SqliteStore(path)), closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM cells").fetchall()
        result = run(path)
        assert result.exit_code == 1
        assert result.stdout.startswith("old v1: erased the counts of 12 epochs")
        assert result.stderr == (
            f"Error: {path}: another program uses it, so that its log may still hold what was erased; run it again\n"
        )
    assert run(path).exit_code == 0


def test_a_file_that_cannot_be_rebuilt_is_a_failure(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Single copies of what was erased may be in it; what could be erased is named."""

    def fail(_: object) -> bool:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("hushtally.collector.vacuum.Vacuum.run", fail)
    result = run(path)
    assert (result.exit_code, len(result.stdout.splitlines())) == (1, 1)
    assert result.stderr == (
        f"Error: copies of what was erased may be left: database {path}: the file cannot be rebuilt:"
        " database or disk is full; run it again\n"
    )
    monkeypatch.undo()
    assert run(path).exit_code == 0


def test_it_may_run_beside_a_collector(start: Any, path: Path) -> None:
    """Started on the same file, a collector has erased what is over already."""
    process = start(path)
    assert [line.split(";")[0] for line in run(path).stdout.splitlines()] == [
        "habits v1: nothing to erase",
        "old v1: nothing to erase",
    ]
    assert process.ask("GET", "/healthz") == (200, {"status": "ok"})
    assert process.stop()[0] == 0
    assert list(path.parent.glob("counts.db*")) == [path]
