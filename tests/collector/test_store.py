"""The SQLite store: sums, refused databases, erasure, and no trace of the order or the origin of reports."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hushtally.client_sdk import stale_log
from hushtally.client_sdk.protocol.cell import Cell
from hushtally.client_sdk.protocol.report import Batch, Report
from hushtally.client_sdk.protocol.store_file import COLLECTOR, COLLECTOR_SCHEMA
from hushtally.client_sdk.state.file import State
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.epochs import EpochLength
from hushtally.collector import sqlite_store
from hushtally.collector.admission import Admission, admit
from hushtally.collector.sqlite_store import MIGRATIONS, SqliteStore
from hushtally.collector.store import Erasure, StoreError

TODAY = date(2026, 11, 24)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "counts.db"


@pytest.fixture
def store(path: Path, survey: Survey) -> Iterator[SqliteStore]:
    with closing(SqliteStore(path, timeout=0.1)) as store:
        store.register([survey])
        yield store


@pytest.fixture
def admitted(survey: Survey, batches: Any) -> Callable[..., Admission]:
    """Returns an admission whose reports are all accepted."""

    def admitted(*symbols: int, id: str | None = None, days: int = 0) -> Admission:
        reports = [batches.report("affinity", symbol, days) for symbol in symbols]
        return admit(batches.batch(*reports, id=id), [survey], TODAY)

    return admitted


def tallies(store: SqliteStore) -> dict[Cell, Counter[int]]:
    """The count of each symbol by cell, read through another connection."""
    found: dict[Cell, Counter[int]] = defaultdict(Counter)
    with closing(sqlite3.connect(store.path)) as connection:
        for *cell, symbol, count in connection.execute(
            "SELECT survey, version, question, cohort, epoch, symbol, count FROM cells JOIN counts USING (cell)"
        ):
            found[Cell(*cell)][symbol] = count
    return found


def total(store: SqliteStore) -> Counter[int]:
    """The count of each symbol over all cells."""
    return sum(tallies(store).values(), Counter[int]())


def dump(path: Path, *, batches: bool = True) -> list[str]:
    """The SQL statements that would create the database, with or without the batches."""
    with closing(sqlite3.connect(path)) as connection:
        return [line for line in connection.iterdump() if batches or not line.startswith('INSERT INTO "batches"')]


def test_every_schema_version_has_a_migration():
    assert len(MIGRATIONS) == COLLECTOR_SCHEMA


def test_counts_are_sums(store: SqliteStore, admitted: Callable[..., Admission]) -> None:
    """Counts add up over the batches of a group, over groups and over cells. Each batch gets its response."""
    outcomes = store.add([admitted(1, 1, 2), admitted(1)])
    assert outcomes == [('{"accepted":3,"rejected":[]}', True), ('{"accepted":1,"rejected":[]}', True)]
    store.add([admitted(2), admitted(5, days=-1)])
    assert tallies(store) == {
        Cell("habits", 1, "affinity", '{"platform":"web"}', "2026-11-24"): Counter({1: 3, 2: 2}),
        Cell("habits", 1, "affinity", '{"platform":"web"}', "2026-11-23"): Counter({5: 1}),
    }


def test_a_batch_is_counted_exactly_once(
    store: SqliteStore, path: Path, survey: Survey, admitted: Callable[..., Admission]
) -> None:
    """A batch id that comes again, in the same group, in a later group or after a restart, gets the first response."""
    first = admitted(1)
    again = admitted(1, 1, id=first.batch)
    assert store.add([first, again]) == [(first.outcome.response, True), (first.outcome.response, False)]
    assert store.add([again]) == [(first.outcome.response, False)]
    store.close()
    with closing(SqliteStore(path)) as reopened:
        reopened.register([survey])
        assert reopened.add([again]) == [(first.outcome.response, False)]
        assert total(reopened) == {1: 1}


def test_a_commit_waits_for_the_disk(store: SqliteStore, admitted: Callable[..., Admission]) -> None:
    """The connection has synchronous = FULL (2) from the start, and no operation changes the setting."""
    for operation in (lambda: None, lambda: store.add([admitted(1)]), lambda: store.purge(TODAY), store.checkpoint):
        operation()
        assert store._pragma("synchronous") == 2


def test_a_failed_transaction_leaves_nothing(
    store: SqliteStore, path: Path, admitted: Callable[..., Admission], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counts and batch ids are stored together or not at all."""
    before = dump(path)
    monkeypatch.setattr("hushtally.collector.sqlite_store._ADD_COUNT", "INSERT INTO nowhere VALUES (?, ?, ?)")
    with pytest.raises(StoreError, match="no such table: nowhere"):
        store.add([admitted(1)])
    assert dump(path) == before


def test_two_cells_with_one_key_are_refused(
    store: SqliteStore, admitted: Callable[..., Admission], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A collision of two keys must not add the counts of one cell to another cell."""
    monkeypatch.setattr(Cell, "key", 7)
    store.add([admitted(1)])
    store.add([admitted(1)])
    with pytest.raises(StoreError, match=r"UNIQUE constraint failed: cells\.cell"):
        store.add([admitted(1, days=-1)])
    assert total(store) == {1: 2}


def test_order_and_grouping_leave_no_trace(tmp_path: Path, survey: Survey, batches: Any) -> None:
    """The same batches, in any order and in groups of any size, give equal dumps, including the table of batches."""
    shuffle = random.Random(2026)
    admissions = [
        admit(
            batches.batch(
                *(
                    batches.report("affinity", shuffle.randrange(100), shuffle.randrange(-1, 1), platform)
                    for platform in ("web", "ios")
                )
            ),
            [survey],
            TODAY,
        )
        for _ in range(200)
    ]
    dumps = []
    for run in range(3):
        path = tmp_path / f"{run}.db"
        with closing(SqliteStore(path)) as store:
            store.register([survey])
            shuffle.shuffle(admissions)
            waiting = list(admissions)
            while waiting:
                size = shuffle.randrange(1, 60)
                store.add(waiting[:size])
                del waiting[:size]
        dumps.append(dump(path))
    assert dumps[0] == dumps[1] == dumps[2]
    assert sum("INSERT" in line for line in dumps[0]) > 200


def test_the_counts_do_not_show_which_reports_shared_a_batch(
    tmp_path: Path, survey: Survey, admitted: Callable[..., Admission]
) -> None:
    """The same reports in other batches give the same tables, apart from the table of batches."""
    dumps = []
    for run, split in enumerate([[(1, 2, 3, 3)], [(3,), (1, 3), (2,)]]):
        path = tmp_path / f"{run}.db"
        with closing(SqliteStore(path)) as store:
            store.register([survey])
            for symbols in split:
                store.add([admitted(*symbols)])
        dumps.append(dump(path, batches=False))
    assert dumps[0] == dumps[1]


def test_no_table_has_a_rowid(store: SqliteStore, path: Path) -> None:
    """A rowid would number the rows in the order of their arrival."""
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute("SELECT name, wr FROM pragma_table_list WHERE schema = 'main'").fetchall()
    assert {name for name, without_rowid in tables if without_rowid} == {"surveys", "cells", "counts", "batches"}
    assert {name for name, without_rowid in tables if not without_rowid} == {"sqlite_schema"}


def test_a_checkpoint_empties_the_log(store: SqliteStore, path: Path, admitted: Callable[..., Admission]) -> None:
    """The log lists transactions in their order. While another program reads, the log stays and counting goes on."""
    log = path.with_name("counts.db-wal")
    store.add([admitted(1)])
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM counts").fetchall()
        store.add([admitted(1)])
        assert not store.checkpoint()
        assert log.stat().st_size > 0
    assert store.checkpoint()
    assert log.stat().st_size == 0
    assert total(store) == {1: 2}


def test_a_closed_store_is_one_file_and_stays_one_file(
    store: SqliteStore, path: Path, admitted: Callable[..., Admission]
) -> None:
    """A program that reads a file in WAL mode may leave a log behind. A closed store is not in WAL mode."""
    store.add([admitted(1)])
    store.close()
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as reader:
        assert reader.execute("SELECT symbol, count FROM counts").fetchall() == [(1, 1)]
        assert list(path.parent.iterdir()) == [path]
    assert list(path.parent.iterdir()) == [path]


def test_closing_one_of_two_stores_leaves_the_log(
    store: SqliteStore, path: Path, admitted: Callable[..., Admission]
) -> None:
    """The other store still needs the log; the last store to close removes it."""
    other = SqliteStore(path)
    other.add([admitted(1)])
    store.close()
    assert other.add([admitted(2)]) == [('{"accepted":1,"rejected":[]}', True)]
    assert total(other) == {1: 1, 2: 1}
    other.close()
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_is_gone_is_detected(path: Path, survey: Survey, admitted: Callable[..., Admission]) -> None:
    """Counting, a health check and the close all detect it. Another file with the same name is not changed."""
    store = SqliteStore(path)
    store.register([survey])
    path.unlink()
    path.write_text("another")
    for change in (lambda: store.add([]), lambda: store.add([admitted(1)]), store.close):
        with pytest.raises(
            StoreError, match=f"database {path} was deleted, moved or replaced while the collector was running"
        ):
            change()
    assert path.read_text() == "another"


def test_a_file_that_disappears_during_a_commit_is_detected(
    store: SqliteStore, path: Path, admitted: Callable[..., Admission], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the response would acknowledge a batch that is not in the database."""
    found = iter([store._file_id, None])
    monkeypatch.setattr("hushtally.collector.sqlite_store.file_id", lambda _: next(found, store._file_id))
    with pytest.raises(StoreError, match="deleted, moved or replaced"):
        store.add([admitted(1)])


DELETED_LOGS = [["-wal"], ["-shm"], ["-wal", "-shm"]]


@pytest.mark.parametrize("gone", DELETED_LOGS)
@pytest.mark.parametrize("step", ["add", "check", "checkpoint", "close"])
def test_a_deleted_log_loses_no_acknowledged_batch(
    step: str,
    gone: list[str],
    store: SqliteStore,
    path: Path,
    admitted: Callable[..., Admission],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The next step of any kind saves the contents of the deleted log in the database, and counting goes on."""
    store.add([admitted(1)])
    for suffix in gone:
        path.with_name(path.name + suffix).unlink()
    {"add": lambda: store.add([admitted(1)]), "check": lambda: store.add([]), "checkpoint": store.checkpoint}.get(
        step, store.close
    )()
    again = "add" if step != "close" else None
    if again:
        store.add([admitted(1)])
    copy = path.with_name("copy.db")  # what a crash would leave
    for suffix in ("", "-wal"):
        if path.with_name(path.name + suffix).exists():
            shutil.copy(path.with_name(path.name + suffix), copy.with_name(copy.name + suffix))
    with closing(sqlite3.connect(copy)) as connection:
        (count,) = connection.execute("SELECT sum(count) FROM counts").fetchone()
    assert count == {"add": 3, "close": 1}.get(step, 2)
    assert "its log (-wal or -shm) was deleted or replaced while the collector was running" in caplog.text
    assert "nothing was lost" in caplog.text


def test_a_log_that_is_deleted_during_a_commit_is_saved_before_the_response(
    store: SqliteStore, path: Path, admitted: Callable[..., Admission], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = store._write

    def write_then_delete(*arguments: Any) -> None:
        write(*arguments)
        path.with_name("counts.db-wal").unlink()

    monkeypatch.setattr(store, "_write", write_then_delete)
    store.add([admitted(1)])
    assert total(store) == {1: 1}


def test_a_new_log_of_another_program_is_not_overwritten(
    store: SqliteStore, path: Path, admitted: Callable[..., Admission]
) -> None:
    """Two logs cannot be merged, so nothing is counted until the collector is restarted."""
    store.add([admitted(1)])
    log = path.with_name("counts.db-wal")
    log.unlink()
    log.write_bytes(b"another program's log")
    with pytest.raises(StoreError, match="another program writes to a new log; restart the collector"):
        store.add([admitted(2)])
    log.unlink()


def test_a_deleted_log_is_saved_when_the_reader_has_gone(
    store: SqliteStore, path: Path, admitted: Callable[..., Admission]
) -> None:
    """Until then the batches are refused, so that their senders send them again."""
    store.add([admitted(1)])
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM counts").fetchall()
        path.with_name("counts.db-wal").unlink()
        with pytest.raises(StoreError, match="cannot be saved yet: another program is reading the database"):
            store.add([admitted(2)])
    store.add([admitted(2)])
    assert total(store) == {1: 1, 2: 1}


def test_a_saved_log_is_followed_by_attempts_to_open_the_database_again(
    store: SqliteStore, path: Path, admitted: Callable[..., Admission], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For example, the disk may be full at that moment."""
    store.add([admitted(1)])
    path.with_name("counts.db-wal").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(store, "_open", lambda: (_ for _ in ()).throw(StoreError("the disk is full")))
        with pytest.raises(StoreError, match="cannot be saved yet: the disk is full"):
            store.add([admitted(2)])
        with pytest.raises(StoreError, match="cannot be saved yet: the disk is full"):
            store.checkpoint()
    store.add([admitted(2)])
    assert total(store) == {1: 1, 2: 1}


def test_a_purge_erases_expired_counts_and_batch_ids(
    store: SqliteStore, path: Path, survey: Survey, admitted: Callable[..., Admission]
) -> None:
    """A batch id is erased when its reports can no longer be accepted, counts when their retention ends.

    After a checkpoint, the bytes of the file contain neither. A batch id stays one day longer: a batch that is admitted
    before midnight and written after midnight is still counted once.
    """
    old, new = admitted(1, days=-1), admitted(1)
    store.add([old, new])
    store.purge(TODAY + timedelta(days=1))
    assert store.add([old]) == [(old.outcome.response, False)]
    store.purge(TODAY + timedelta(days=2))
    store.checkpoint()
    assert bytes.fromhex(old.batch) not in path.read_bytes()
    assert bytes.fromhex(new.batch) in path.read_bytes()

    erased = survey.erased_on("2026-11-23")
    assert store.purge(erased - timedelta(days=1)) == [Erasure("habits v1", (), erased)]
    assert total(store) == {1: 2}
    assert store.purge(erased) == [Erasure("habits v1", ("2026-11-23",), erased + timedelta(days=1))]
    store.checkpoint()
    assert [cell.epoch for cell in tallies(store)] == ["2026-11-24"]
    assert b"2026-11-23" not in path.read_bytes()
    assert store.purge(erased + timedelta(days=1)) == [Erasure("habits v1", ("2026-11-24",))]
    assert tallies(store) == {}
    assert store.purge(erased + timedelta(days=1)) == [Erasure("habits v1")]
    assert [stored.digest for stored in store.surveys()] == [survey.digest]


def test_nothing_is_erased_while_reports_are_accepted(path: Path, survey: Survey, batches: Any) -> None:
    """Monthly epochs with one day of retention: a count of the first day lasts until the last report is accepted."""
    monthly = replace(survey, epoch=EpochLength.MONTH, starts=date(2026, 11, 1), ends=date(2026, 12, 31))
    monthly = replace(monthly, retention_days=1)
    november = Report("affinity", "2026-11", {"platform": "web"}, 1)
    maker = replace(batches, survey=monthly)
    with closing(SqliteStore(path)) as store:
        store.register([monthly])
        for day in (date(2026, 11, 1), date(2026, 12, 31)):
            store.purge(day)
            store.add([admit(maker.batch(november), [monthly], day)])
        assert total(store) == {1: 2}
        store.purge(date(2027, 1, 1))
        assert total(store) == {1: 2}
        store.purge(date(2027, 1, 2))
        assert total(store) == {}


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE surveys SET definition = '[' WHERE id = 'habits'",
        "UPDATE surveys SET definition = '{}' WHERE id = 'habits'",
        'UPDATE surveys SET definition = \'{"epoch":"week","retention_days":30}\' WHERE id = \'habits\'',
        'UPDATE surveys SET definition = \'{"epoch":"day","retention_days":9999999999}\' WHERE id = \'habits\'',
        'UPDATE surveys SET definition = \'{"epoch":"day","retention_days":"30"}\' WHERE id = \'habits\'',
        "DELETE FROM surveys WHERE id = 'habits'",
    ],
)
def test_a_survey_that_cannot_be_purged_does_not_prevent_others(
    damage: str, store: SqliteStore, path: Path, survey: Survey, batches: Any, admitted: Callable[..., Admission]
) -> None:
    """The outcome names the survey, and its counts stay."""
    other = replace(survey, id="other")
    store.register([other])
    store.add([admitted(1), admit(replace(batches, survey=other).batch(batches.report()), [other], TODAY)])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(damage)
    problem = "the counts of habits v1 could not be erased: the stored definition cannot be read"
    assert store.purge(TODAY + timedelta(days=365)) == [
        Erasure("habits v1", problem=problem),
        Erasure("other v1", ("2026-11-24",)),
    ]
    assert {cell.survey for cell in tallies(store)} == {"habits"}


def test_a_purge_reads_only_the_retention_of_a_definition(
    store: SqliteStore, path: Path, survey: Survey, admitted: Callable[..., Admission]
) -> None:
    """A newer version may not support a survey that an older version collected, but must still erase its counts."""
    store.add([admitted(1)])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("""UPDATE surveys SET definition = '{"epoch":"day","retention_days":30}'""")
    erased = survey.erased_on("2026-11-24")
    assert store.purge(erased - timedelta(days=1)) == [Erasure("habits v1", (), erased)]
    assert store.purge(erased) == [Erasure("habits v1", ("2026-11-24",))]


def test_a_purge_that_the_database_refuses_is_reported_for_its_survey(
    store: SqliteStore, path: Path, survey: Survey, batches: Any, admitted: Callable[..., Admission]
) -> None:
    other = replace(survey, id="other")
    store.register([other])
    store.add([admitted(1), admit(replace(batches, survey=other).batch(batches.report()), [other], TODAY)])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "CREATE TRIGGER t BEFORE DELETE ON cells WHEN old.survey = 'habits' BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    failed, erased = store.purge(TODAY + timedelta(days=365))
    assert failed.problem == f"the counts of habits v1 could not be erased: database {path}: no"
    assert erased == Erasure("other v1", ("2026-11-24",))
    assert total(store) == {1: 1}


def test_no_page_contains_erased_counts(store: SqliteStore, path: Path, survey: Survey, batches: Any) -> None:
    """With thousands of rows, SQLite splits and joins pages; no trace of any row is left in the file."""
    admissions = [
        admit(batches.batch(batches.report("affinity", number % 100, -(number % 2))), [survey], TODAY)
        for number in range(3_000)
    ]
    for begin in range(0, 3_000, 100):
        store.add(admissions[begin : begin + 100])
    cells = {cell.key.to_bytes(8, "big") for cell in tallies(store)}
    store.checkpoint()
    before = path.read_bytes()
    assert all(bytes.fromhex(admission.batch) in before for admission in admissions)
    assert all(cell in before for cell in cells)
    store.purge(TODAY + timedelta(days=365))
    assert store.checkpoint()
    after = path.read_bytes()
    assert not any(bytes.fromhex(admission.batch) in after for admission in admissions)
    assert not any(cell in after for cell in cells)
    assert b"2026-11-2" not in after


def test_an_empty_list_of_batches_tests_the_disk(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store writes to the disk and checks its free space, as it must to count a batch."""
    before = tallies(store)
    with closing(sqlite3.connect(path)) as other:
        (old,) = other.execute("PRAGMA data_version").fetchone()
        assert store.add([]) == []
        (new,) = other.execute("PRAGMA data_version").fetchone()
    assert new != old
    assert tallies(store) == before
    for total, free, needed in ((10**12, 2**23 - 1, 2**23), (10**6, 10**5 - 1, 10**5)):
        monkeypatch.setattr("shutil.disk_usage", lambda _, t=total, f=free: SimpleNamespace(total=t, free=f))
        with pytest.raises(StoreError) as caught:
            store.add([])
        assert str(caught.value) == f"database {path}: fewer than {needed:,} bytes are free on its disk"
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(total=10**6, free=10**5))
    assert store.add([]) == []


def test_a_changed_survey_needs_a_new_version(store: SqliteStore, survey: Survey) -> None:
    """The same id and version with another digest is refused with the differences; no survey of the list is stored."""
    changed = replace(survey, title="Manners", retention_days=60)
    with pytest.raises(StoreError) as caught:
        store.register([replace(survey, id="other"), changed])
    assert str(caught.value) == (
        "habits v1 was changed since it was first collected: title: 'Habits' -> 'Manners'; retention_days: 30 -> 60;"
        " give the changed survey a new version (hushtally survey diff OLD NEW shows all changes)"
    )
    assert [stored.name for stored in store.surveys()] == ["habits v1"]
    store.register([survey, replace(changed, version=2)])
    assert [stored.name for stored in store.surveys()] == ["habits v1", "habits v2"]


def test_a_changed_survey_is_refused_even_if_the_stored_definition_is_damaged(
    store: SqliteStore, survey: Survey, path: Path
) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE surveys SET digest = 'other', definition = '{'")
    with pytest.raises(StoreError) as caught:
        store.register([survey])
    assert str(caught.value) == f"{path}: the stored definition of habits v1 cannot be read"
    assert store.surveys() == []


def _other_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE customers (name TEXT)")


def _device(path: Path) -> None:
    State(str(path)).close()
    path.with_name("counts.db.mark").unlink(missing_ok=True)


def _newer_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"PRAGMA application_id = {COLLECTOR}; PRAGMA user_version = 2")


REFUSED = [
    (_other_program, "is not a hushtally database$"),
    (_device, "is a device's state file, not a collector's database$"),
    (_newer_version, r"was written by a newer hushtally \(schema 2; this version supports 1\); upgrade hushtally$"),
    (lambda path: path.write_text("id = 'shopping-habits'\n"), "is not a hushtally database$"),
    (lambda path: path.write_bytes(b"SQLite format 3\0"), "is not a hushtally database$"),
]


@pytest.mark.parametrize(("create", "message"), REFUSED)
def test_a_file_that_is_not_a_collectors_database_is_not_changed(
    create: Callable[[Path], Any], message: str, path: Path
) -> None:
    """It is refused with one line. No byte changes, and no file appears beside it."""
    create(path)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=message) as caught:
        SqliteStore(path)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_newer_version_in_the_log_is_refused(path: Path, store: SqliteStore, tmp_path: Path) -> None:
    """The header in the file may be older than the header in the write-ahead log."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 2")
        copy = tmp_path / "copy"
        copy.mkdir()
        for file in path.parent.glob("counts.db*"):
            shutil.copy(file, copy)
    with pytest.raises(StoreError, match="a newer hushtally"):
        SqliteStore(copy / "counts.db")


def test_a_backup_that_is_restored_beside_the_log_of_a_crash_is_refused(
    store: SqliteStore, path: Path, tmp_path: Path, admitted: Callable[..., Admission]
) -> None:
    """SQLite would mix the log into the backup. Without the log, the backup is opened."""
    copy = tmp_path / "copy"
    copy.mkdir()
    store.add([admitted(1)])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM INTO ?", (str(copy / "counts.db"),))
    store.add([admitted(2)])
    shutil.copy(path.with_name("counts.db-wal"), copy)  # the log that a crash leaves
    before = (copy / "counts.db").read_bytes()
    with pytest.raises(StoreError) as caught:
        SqliteStore(copy / "counts.db")
    assert str(caught.value) == (
        f"{copy}/counts.db was put in the place of another database whose write-ahead log is still there and may"
        f" contain its last counts. Stop the collector, then move {copy}/counts.db-wal and {copy}/counts.db-shm to"
        " another folder"
    )
    assert (copy / "counts.db").read_bytes() == before
    (copy / "counts.db-wal").unlink()
    with closing(SqliteStore(copy / "counts.db")) as restored:
        assert total(restored) == {1: 1}


def test_a_backup_behind_a_link_is_refused_too(
    store: SqliteStore, path: Path, tmp_path: Path, admitted: Callable[..., Admission]
) -> None:
    """SQLite looks for the log beside the file itself, not beside the link."""
    copy = tmp_path / "copy"
    copy.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM INTO ?", (str(copy / "counts.db"),))
    store.add([admitted(1)])
    shutil.copy(path.with_name("counts.db-wal"), copy)
    (tmp_path / "link.db").symlink_to(copy / "counts.db")
    with pytest.raises(StoreError, match="put in the place of another database"):
        SqliteStore(tmp_path / "link.db")


def test_a_database_that_another_collector_has_just_opened_is_not_taken_for_a_backup(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch, admitted: Callable[..., Admission]
) -> None:
    """The header is read again after a log was found, because the first header was that of a closed database."""
    store.add([admitted(1)])
    read, headers = stale_log.header, []

    def header(place: Path) -> bytes:
        found = read(place)
        headers.append(found)
        return found[:18] + bytes([stale_log.NO_LOG]) + found[19:] if len(headers) == 1 else found

    monkeypatch.setattr(stale_log, "header", header)
    monkeypatch.setattr(sqlite_store, "_open_stores", set())  # as if another process had opened it
    with closing(SqliteStore(path)) as second:
        assert total(second) == {1: 1}
    assert len(headers) == 2


def test_switching_to_wal_mode_waits_for_another_process(path: Path) -> None:
    """SQLite itself does not wait, whatever its timeout. Any other error is raised at once."""
    errors = [sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY, None]

    class Busy:
        def execute(self, statement: str) -> None:
            assert statement == "PRAGMA journal_mode = WAL"
            code = errors.pop(0)
            if code is not None:
                error = sqlite3.OperationalError("canary")
                error.sqlite_errorcode = code
                raise error

    with closing(SqliteStore(path)) as store:
        store._enable_wal(Busy())  # type: ignore[arg-type]
        assert errors == []
        errors.append(sqlite3.SQLITE_IOERR)
        with pytest.raises(sqlite3.OperationalError):
            store._enable_wal(Busy())  # type: ignore[arg-type]


def test_an_empty_file_becomes_a_database(path: Path) -> None:
    """Another program may have created the file, for example as a temporary file."""
    path.touch()
    SqliteStore(path).close()
    assert path.read_bytes()[68:72] == b"hush"


def test_a_path_without_room_for_a_database_is_an_error(tmp_path: Path) -> None:
    """The message has the path and the reason."""
    missing = tmp_path / "nowhere" / "counts.db"
    with pytest.raises(StoreError, match=f"^{missing} cannot be written: the folder {missing.parent} does not exist$"):
        SqliteStore(missing)
    with pytest.raises(StoreError, match=f"^{tmp_path} is a folder, not a database$"):
        SqliteStore(tmp_path)
    (tmp_path / "text").touch()
    with pytest.raises(StoreError, match=f"^{tmp_path}/text/counts.db cannot be read: Not a directory$"):
        SqliteStore(tmp_path / "text" / "counts.db")


@pytest.mark.skipif(not Path("/sys").exists(), reason="needs a folder that even root cannot write to")
def test_a_folder_that_is_not_writable_is_an_error() -> None:
    """The message has the file and the reason."""
    with pytest.raises(
        StoreError, match=r"^/sys/counts\.db cannot be written: (Permission denied|the folder /sys is not writable)$"
    ):
        SqliteStore("/sys/counts.db")


def test_no_database_is_created_in_a_folder_that_cannot_hold_its_log(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda folder, mode: (folder, mode) != (path.parent, os.W_OK))
    with pytest.raises(StoreError, match=f"^{path} cannot be written: the folder {path.parent} is not writable$"):
        SqliteStore(path)
    assert not path.exists()


def test_a_locked_database_is_refused(store: SqliteStore, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=f"database {path}: database is locked$"):
            SqliteStore(path, timeout=0.05)


def test_two_stores_on_one_file_count_each_batch_exactly_once(
    store: SqliteStore, path: Path, survey: Survey, admitted: Callable[..., Admission]
) -> None:
    """One collector may replace another. The database adds the counts, and each batch is counted in one store."""
    shared = admitted(9)
    with closing(SqliteStore(path)) as other:
        for _ in range(10):
            store.add([admitted(1), shared])
            other.add([admitted(1), shared])
        assert total(store) == total(other) == {1: 20, 9: 1}


def test_two_stores_in_one_process_keep_their_locks(
    store: SqliteStore, path: Path, admitted: Callable[..., Admission]
) -> None:
    """Another program that opens and closes the file leaves their log, so a crash loses nothing."""
    code = "import sys; from hushtally.collector.sqlite_store import SqliteStore; SqliteStore(sys.argv[1]).close()"
    store.add([admitted(1)])
    with closing(SqliteStore(path)) as second:
        subprocess.run([sys.executable, "-c", code, path], check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
        store.add([admitted(1)])
        second.add([admitted(1)])
        crashed = path.with_name("crashed.db")
        for name in ("", "-wal"):  # the files that a crash would leave
            shutil.copy(f"{path}{name}", f"{crashed}{name}")
        with closing(sqlite3.connect(crashed)) as connection:
            assert connection.execute("SELECT sum(count) FROM counts").fetchone() == (3,)


def test_a_decoded_batch_is_counted(store: SqliteStore, survey: Survey, batches: Any) -> None:
    """A batch that was encoded and decoded is counted like the original batch."""
    batch = Batch.decode(batches.batch(batches.report("both", 3)).encode())
    store.add([admit(batch, [survey], TODAY)])
    assert total(store) == {3: 1}
