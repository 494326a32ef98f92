"""`hushtally purge`: erases expired counts in a database that no collector uses, and reports what it erased."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
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
def fixed_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """The day does not change during a test."""
    monkeypatch.setattr("hushtally.collector.purge_cli.utc_today", lambda: TODAY)


def run(path: Path) -> Result:
    return CliRunner().invoke(main, ["purge", "--database", str(path)])


@pytest.fixture
def ended(text: Callable[..., str]) -> Survey:
    """A survey that has ended: the retention of its first twelve epochs has ended too."""
    return Survey.parse(text(TODAY - timedelta(days=33)).replace('id = "habits"', 'id = "old"'))


@pytest.fixture
def path(tmp_path: Path, ended: Survey) -> Path:
    """A database of the ended survey that no collector uses any more, with one report for every day."""
    path = tmp_path / "counts.db"
    with closing(SqliteStore(path)) as store:
        store.register([ended])
        for number in range(ended.epochs):
            day = ended.starts + timedelta(days=number)
            report = Report("affinity", day.isoformat(), {"platform": "web"}, 1)
            store.add([admit(Batch(f"{number:032x}", ended.id, 1, ended.digest, (report,)), [ended], day)])
    return path


def test_expired_counts_are_erased_from_the_disk(path: Path, ended: Survey) -> None:
    """The command prints which epochs it erased and when the next erasure is due. A second run erases nothing.

    A run that erases nothing is not a failure.
    """
    over = [ended.starts + timedelta(days=number) for number in range(12)]
    assert all(day.isoformat().encode() in path.read_bytes() for day in over)
    first = run(path)
    assert (first.exit_code, first.stderr) == (0, "")
    assert first.stdout == (
        f"old v1: erased the counts of 12 epochs, {over[0]} to {over[-1]};"
        f" the next erasure is due on {TODAY + timedelta(days=1)}\n"
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
        f"old v1: nothing to erase; the next erasure is due on {TODAY + timedelta(days=1)}\n",
    )


@pytest.mark.parametrize("streams", [["stdout"], ["stderr"], ["stdout", "stderr"]], ids=" ".join)
def test_counts_are_erased_whether_or_not_anybody_reads_the_result(
    path: Path, ended: Survey, streams: list[str]
) -> None:
    """As in `hushtally purge | head -0`: the exit status is 0, and no log with erased counts is left."""
    reader, written = os.pipe()
    os.close(reader)
    outputs: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | dict.fromkeys(streams, written)
    command = [sys.executable, "-m", "hushtally", "purge", "--database", path]
    done = subprocess.run(command, **outputs, text=True, check=False)
    os.close(written)
    assert (done.returncode, done.stderr or "") == (0, "")
    assert list(path.parent.iterdir()) == [path]
    assert run(path).stdout == f"old v1: nothing to erase; the next erasure is due on {TODAY + timedelta(days=1)}\n"


def test_a_failure_is_a_failure_whether_or_not_anybody_reads_it(path: Path) -> None:
    reader, written = os.pipe()
    os.close(reader)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE surveys SET definition = '{}'")
    command = [sys.executable, "-m", "hushtally", "purge", "--database", path]
    assert subprocess.run(command, stdout=written, stderr=written, check=False).returncode == 1
    os.close(written)


def test_a_database_without_counts_has_nothing_to_erase(tmp_path: Path, ended: Survey) -> None:
    path = tmp_path / "empty.db"
    SqliteStore(path).close()
    nothing = f"{path}: nothing to erase; the database contains no survey\n"
    assert (run(path).exit_code, run(path).output) == (0, nothing)
    with closing(SqliteStore(path)) as store:
        store.register([ended])
    assert (run(path).exit_code, run(path).output) == (0, "old v1: nothing to erase; nothing is left\n")


def test_a_single_epoch_is_printed_without_a_range(path: Path, ended: Survey) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM cells WHERE epoch <> ?", (ended.starts.isoformat(),))
    assert run(path).stdout == f"old v1: erased the counts of {ended.starts}; nothing is left\n"


def test_a_missing_database_is_not_created(tmp_path: Path) -> None:
    path = tmp_path / "nowhere.db"
    result = run(path)
    assert (result.exit_code, result.stderr) == (1, f"Error: {path}: this database does not exist\n")
    assert not path.exists()


def test_a_database_without_permission_is_not_reported_as_missing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert result.stderr == ("Error: the counts of old v1 could not be erased: the stored definition cannot be read\n")


def test_a_read_by_another_program_is_a_failure(path: Path) -> None:
    """The log contains erased counts until the other program ends; then another run empties the log."""
    with closing(SqliteStore(path)), closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM cells").fetchall()
        result = run(path)
        assert result.exit_code == 1
        assert result.stdout.startswith("old v1: erased the counts of 12 epochs")
        assert result.stderr == (
            f"Error: {path}: another program is using the database, so the write-ahead log may still contain erased"
            " counts; run `hushtally purge` again\n"
        )
    assert run(path).exit_code == 0


def test_a_file_that_cannot_be_rebuilt_is_a_failure(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file may contain copies of erased counts. The command still prints which epochs it erased."""

    def fail(_: object) -> bool:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("hushtally.collector.vacuum.Vacuum.run", fail)
    result = run(path)
    assert (result.exit_code, len(result.stdout.splitlines())) == (1, 1)
    assert result.stderr == (
        f"Error: copies of erased counts may be left: database {path}: the file cannot be rebuilt:"
        " database or disk is full; run `hushtally purge` again\n"
    )
    monkeypatch.undo()
    assert run(path).exit_code == 0


def test_it_may_run_beside_a_collector(start: Any, path: Path) -> None:
    """The collector erased the expired counts when it started."""
    process = start(path)
    assert [line.split(";")[0] for line in run(path).stdout.splitlines()] == [
        "habits v1: nothing to erase",
        "old v1: nothing to erase",
    ]
    assert process.request("GET", "/healthz") == (200, {"status": "ok"})
    assert process.stop()[0] == 0
    assert list(path.parent.glob("counts.db*")) == [path]
