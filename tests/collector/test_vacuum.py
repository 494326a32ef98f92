"""Bytes of the database's file: what came in which order shows on none of its pages once it is settled or closed."""

from __future__ import annotations

import random
import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from hushtally.client_sdk.survey import Survey
from hushtally.collector import vacuum
from hushtally.collector.admission import Admission, admit
from hushtally.collector.sqlite_store import SqliteStore
from hushtally.collector.store import StoreError

TODAY = date(2026, 11, 24)
COUNTERS = (slice(24, 28), slice(40, 44), slice(92, 96))  # of the header: changes of the file and of its schema


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "counts.db"


@pytest.fixture
def store(path: Path, survey: Survey) -> Iterator[SqliteStore]:
    """Rebuilt once, so that the next time needs a reason."""
    with closing(SqliteStore(path, patience=0.1)) as store:
        store.register([survey])
        store.settle()
        yield store


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that the store sees, in seconds."""
    now = [1_000.0]
    monkeypatch.setattr(vacuum, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def admissions(survey: Survey, batches: Any) -> list[Admission]:
    """Batches of two reports each, with ids that are the same in every run."""
    chance = random.Random(2026)
    return [
        admit(
            batches.batch(
                *(
                    batches.report("affinity", chance.randrange(100), chance.randrange(-1, 1), platform)
                    for platform in ("web", "ios")
                ),
                id=chance.randbytes(16).hex(),
            ),
            [survey],
            TODAY,
        )
        for _ in range(1_000)
    ]


def rebuilt(path: Path) -> int:
    """How often the file was rebuilt, as its schema's version counts that."""
    with closing(sqlite3.connect(path)) as connection:
        (version,) = connection.execute("PRAGMA schema_version").fetchone()
    return int(version)


def pages(path: Path) -> bytes:
    """The file's bytes, without the counters of its header."""
    found = bytearray(path.read_bytes())
    for counter in COUNTERS:
        found[counter] = bytes(4)
    return bytes(found)


@pytest.mark.parametrize("leave", [SqliteStore.settle, SqliteStore.close])
@pytest.mark.parametrize("batches_there", [28, 1_000])
def test_order_and_grouping_leave_no_trace_in_the_file(
    batches_there: int, leave: Callable[[SqliteStore], Any], tmp_path: Path, survey: Survey, admissions: list[Admission]
) -> None:
    """The same batches in any order, in groups of any size: the same bytes on every page, and an empty log."""
    shuffle = random.Random(1)
    waiting = admissions[:batches_there]
    found = []
    for run in range(3):
        path = tmp_path / f"{run}.db"
        with closing(SqliteStore(path)) as store:
            store.register([survey])
            for _ in range(run):
                store.settle()
            shuffle.shuffle(waiting)
            begin = 0
            while begin < len(waiting):
                size = shuffle.randrange(1, 60) if run else 1
                store.add(waiting[begin : begin + size])
                begin += size
            leave(store)
            log = tmp_path / f"{run}.db-wal"
            assert not log.exists() or log.stat().st_size == 0
            found.append(pages(path))
    assert bytes.fromhex(waiting[0].batch) in found[0]
    assert found[0] == found[1] == found[2]


def test_what_was_erased_left_no_copy(path: Path, survey: Survey, admissions: list[Admission]) -> None:
    """A file of which all was erased is, byte by byte, one that never held it."""
    never = path.with_name("never.db")
    with closing(SqliteStore(path)) as store, closing(SqliteStore(never)) as other:
        for one in (store, other):
            one.register([survey])
            one.settle()
        store.add(admissions)
        assert store.settle()
        store.purge(TODAY + timedelta(days=365))
        assert store.settle()
        assert pages(path) == pages(never)


def test_a_file_is_rebuilt_when_an_eighth_was_written_or_an_hour_has_passed(
    store: SqliteStore, path: Path, admissions: list[Admission], clock: list[float]
) -> None:
    """And only where something was written: a probe of its health is nothing."""
    count = rebuilt(path)
    store.add(admissions[:880])
    assert store.settle()
    assert rebuilt(path) == (count := count + 1)
    store.add(admissions[880:890])
    assert store.settle()
    assert rebuilt(path) == count
    store.add(admissions[890:990])
    assert store.settle()
    assert rebuilt(path) == (count := count + 1)
    store.add(admissions[990:])
    clock[0] += vacuum.EVERY - 1
    assert store.settle()
    assert rebuilt(path) == count
    clock[0] += 1
    assert store.settle()
    assert rebuilt(path) == (count := count + 1)
    store.add([])
    clock[0] += vacuum.EVERY
    assert store.settle()
    assert rebuilt(path) == count


def test_the_first_time_is_always_due(store: SqliteStore, path: Path, admissions: list[Admission]) -> None:
    """Nobody knows what a crash left; of a close, too."""
    store.add(admissions)
    store.settle()
    store.close()
    count = rebuilt(path)
    with closing(SqliteStore(path)) as again:
        again.settle()
        assert rebuilt(path) == count + 1
    assert rebuilt(path) == count + 1
    SqliteStore(path).close()
    assert rebuilt(path) == count + 2


def test_nothing_is_rebuilt_while_somebody_reads(store: SqliteStore, path: Path, admissions: list[Admission]) -> None:
    """The log cannot be emptied then, and would grow by the whole file each time."""
    store.add(admissions[:500])
    count, log = rebuilt(path), path.with_name("counts.db-wal")
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM counts").fetchall()
        store.add(admissions[500:])
        size = log.stat().st_size
        assert not store.settle()
        assert (rebuilt(path), log.stat().st_size) == (count, size)
    assert store.settle()
    assert (rebuilt(path), log.stat().st_size) == (count + 1, 0)


def test_another_programs_transaction_is_not_waited_for(
    store: SqliteStore, path: Path, admissions: list[Admission], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It began when the log had just been emptied; later the file is rebuilt."""
    store.add(admissions)
    empty, count = store._empty_log, rebuilt(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:

        def empty_log() -> bool:
            emptied = empty()
            if not other.in_transaction:
                other.execute("BEGIN IMMEDIATE")
            return emptied

        monkeypatch.setattr(store, "_empty_log", empty_log)
        assert not store.settle()
        assert rebuilt(path) == count
    monkeypatch.undo()
    assert store._pragma("busy_timeout") == 100
    assert store.settle()
    assert rebuilt(path) == count + 1


@contextmanager
def small_files(most: int) -> Iterator[None]:
    """No file of this process can grow beyond so many bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_rebuild_that_fails_loses_nothing(
    store: SqliteStore, path: Path, admissions: list[Admission], clock: list[float]
) -> None:
    """It is told, also while it is not tried again; what was counted is there, and counting goes on."""
    store.add(admissions[:900])
    with closing(sqlite3.connect(path)) as connection:
        before = list(connection.iterdump())
    assert store._empty_log()
    count = rebuilt(path)
    with small_files(2**16), pytest.raises(StoreError, match=f"^database {path}: the file cannot be rebuilt: disk"):
        store.settle()
    assert path.with_name("counts.db-wal").stat().st_size == 0
    with closing(sqlite3.connect(path)) as connection:
        assert list(connection.iterdump()) == before
    for admission in admissions[900:]:
        store.add([admission])
    clock[0] += vacuum.RETRY - 1
    with pytest.raises(StoreError, match="the file cannot be rebuilt: disk"):
        store.settle()
    assert rebuilt(path) == count
    clock[0] += 1
    assert store.settle()
    assert rebuilt(path) == count + 1
    assert store.settle()


def test_closing_without_room_to_rebuild_loses_nothing(
    store: SqliteStore, path: Path, admissions: list[Admission]
) -> None:
    store.add(admissions)
    assert store._empty_log()
    with closing(sqlite3.connect(path)) as connection:
        before = list(connection.iterdump())
    with small_files(2**16):
        store.close()
    with closing(sqlite3.connect(path)) as connection:
        assert list(connection.iterdump()) == before
