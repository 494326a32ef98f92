"""The bytes of the database's file: after a checkpoint or a close, no page shows in which order batches arrived."""

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
COUNTERS = (slice(24, 28), slice(40, 44), slice(92, 96))  # in the header: changes of the file and of its schema


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "counts.db"


@pytest.fixture
def store(path: Path, survey: Survey) -> Iterator[SqliteStore]:
    """A store whose file was rebuilt once, so that the next rebuild is not due from the start."""
    with closing(SqliteStore(path, timeout=0.1)) as store:
        store.register([survey])
        store.checkpoint()
        yield store


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that Vacuum reads, in seconds."""
    now = [1_000.0]
    monkeypatch.setattr(vacuum, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def admissions(survey: Survey, batches: Any) -> list[Admission]:
    """Batches of two reports each, with the same ids in every run."""
    source = random.Random(2026)
    return [
        admit(
            batches.batch(
                *(
                    batches.report("affinity", source.randrange(100), source.randrange(-1, 1), platform)
                    for platform in ("web", "ios")
                ),
                id=source.randbytes(16).hex(),
            ),
            [survey],
            TODAY,
        )
        for _ in range(1_000)
    ]


def rebuilds(path: Path) -> int:
    """How often the file was rebuilt: SQLite increments the schema version at each rebuild."""
    with closing(sqlite3.connect(path)) as connection:
        (version,) = connection.execute("PRAGMA schema_version").fetchone()
    return int(version)


def pages(path: Path) -> bytes:
    """The bytes of the file, without the counters in its header."""
    found = bytearray(path.read_bytes())
    for counter in COUNTERS:
        found[counter] = bytes(4)
    return bytes(found)


@pytest.mark.parametrize("leave", [SqliteStore.checkpoint, SqliteStore.close])
@pytest.mark.parametrize("batches_there", [28, 1_000])
def test_order_and_grouping_leave_no_trace_in_the_file(
    batches_there: int, leave: Callable[[SqliteStore], Any], tmp_path: Path, survey: Survey, admissions: list[Admission]
) -> None:
    """The same batches, in any order and in groups of any size, give the same bytes on every page, and an empty log."""
    shuffle = random.Random(1)
    waiting = admissions[:batches_there]
    found = []
    for run in range(3):
        path = tmp_path / f"{run}.db"
        with closing(SqliteStore(path)) as store:
            store.register([survey])
            for _ in range(run):
                store.checkpoint()
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


def test_no_copy_of_erased_counts_is_left(path: Path, survey: Survey, admissions: list[Admission]) -> None:
    """A file whose counts were all erased has the same bytes as a file that never had counts."""
    never = path.with_name("never.db")
    with closing(SqliteStore(path)) as store, closing(SqliteStore(never)) as other:
        for each in (store, other):
            each.register([survey])
            each.checkpoint()
        store.add(admissions)
        assert store.checkpoint()
        store.purge(TODAY + timedelta(days=365))
        assert store.checkpoint()
        assert pages(path) == pages(never)


def test_a_small_file_is_rebuilt_whenever_the_log_is_emptied(
    store: SqliteStore, path: Path, admissions: list[Admission]
) -> None:
    """After the checkpoint, the last few batches leave the same bytes in either order."""
    store.add(admissions[:100])
    assert store.checkpoint()
    found = []
    for number, order in enumerate((admissions[100:119], admissions[118:99:-1])):
        copy = path.with_name(f"{number}.db")
        copy.write_bytes(path.read_bytes())
        with closing(SqliteStore(copy)) as again:
            again.checkpoint()
            for admission in order:
                again.add([admission])
            assert again.checkpoint()
            found.append(pages(copy))
    assert len(found[0]) <= vacuum.SMALL_FILE
    assert found[0] == found[1]


def test_a_large_file_is_rebuilt_when_an_eighth_was_written_or_an_hour_has_passed(
    store: SqliteStore,
    path: Path,
    admissions: list[Admission],
    clock: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A file without changes is not rebuilt, and a health check is not a change."""
    monkeypatch.setattr(vacuum, "SMALL_FILE", 0)
    count = rebuilds(path)
    store.add(admissions[:880])
    assert store.checkpoint()
    assert rebuilds(path) == (count := count + 1)
    store.add(admissions[880:890])
    assert store.checkpoint()
    assert rebuilds(path) == count
    store.add(admissions[890:990])
    assert store.checkpoint()
    assert rebuilds(path) == (count := count + 1)
    store.add(admissions[990:])
    clock[0] += vacuum.INTERVAL - 1
    assert store.checkpoint()
    assert rebuilds(path) == count
    clock[0] += 1
    assert store.checkpoint()
    assert rebuilds(path) == (count := count + 1)
    store.add([])
    clock[0] += vacuum.INTERVAL
    assert store.checkpoint()
    assert rebuilds(path) == count


def test_the_first_rebuild_is_always_due(store: SqliteStore, path: Path, admissions: list[Admission]) -> None:
    """A store does not know what a crash left, so it rebuilds the file at its first checkpoint or at its close."""
    store.add(admissions)
    store.checkpoint()
    store.close()
    count = rebuilds(path)
    with closing(SqliteStore(path)) as again:
        again.checkpoint()
        assert rebuilds(path) == count + 1
    assert rebuilds(path) == count + 1
    SqliteStore(path).close()
    assert rebuilds(path) == count + 2


def test_no_rebuild_while_another_program_reads(store: SqliteStore, path: Path, admissions: list[Admission]) -> None:
    """The log cannot be emptied then, and each rebuild would add the whole file to the log."""
    store.add(admissions[:500])
    count, log = rebuilds(path), path.with_name("counts.db-wal")
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM counts").fetchall()
        store.add(admissions[500:])
        size = log.stat().st_size
        assert not store.checkpoint()
        assert (rebuilds(path), log.stat().st_size) == (count, size)
    assert store.checkpoint()
    assert (rebuilds(path), log.stat().st_size) == (count + 1, 0)


def test_a_checkpoint_does_not_wait_for_another_programs_transaction(
    store: SqliteStore, path: Path, admissions: list[Admission], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transaction begins when the log has just been emptied. A later checkpoint rebuilds the file."""
    store.add(admissions)
    empty, count = store._empty_log, rebuilds(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:

        def empty_log() -> bool:
            emptied = empty()
            if not other.in_transaction:
                other.execute("BEGIN IMMEDIATE")
            return emptied

        monkeypatch.setattr(store, "_empty_log", empty_log)
        assert not store.checkpoint()
        assert rebuilds(path) == count
    monkeypatch.undo()
    assert store._pragma("busy_timeout") == 100
    assert store.checkpoint()
    assert rebuilds(path) == count + 1


@contextmanager
def limit_file_size(most: int) -> Iterator[None]:
    """No file of this process can grow beyond `most` bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_rebuild_that_fails_loses_nothing(
    store: SqliteStore, path: Path, admissions: list[Admission], clock: list[float]
) -> None:
    """The error is raised until a retry succeeds. The counts are in the file, and counting goes on."""
    store.add(admissions[:900])
    with closing(sqlite3.connect(path)) as connection:
        before = list(connection.iterdump())
    assert store._empty_log()
    count = rebuilds(path)
    with limit_file_size(2**16), pytest.raises(StoreError, match=f"^database {path}: the file cannot be rebuilt: disk"):
        store.checkpoint()
    assert path.with_name("counts.db-wal").stat().st_size == 0
    with closing(sqlite3.connect(path)) as connection:
        assert list(connection.iterdump()) == before
    for admission in admissions[900:]:
        store.add([admission])
    clock[0] += vacuum.RETRY - 1
    with pytest.raises(StoreError, match="the file cannot be rebuilt: disk"):
        store.checkpoint()
    assert rebuilds(path) == count
    clock[0] += 1
    assert store.checkpoint()
    assert rebuilds(path) == count + 1
    assert store.checkpoint()


def test_closing_without_space_for_a_rebuild_loses_nothing(
    store: SqliteStore, path: Path, admissions: list[Admission]
) -> None:
    store.add(admissions)
    assert store._empty_log()
    with closing(sqlite3.connect(path)) as connection:
        before = list(connection.iterdump())
    with limit_file_size(2**16):
        store.close()
    with closing(sqlite3.connect(path)) as connection:
        assert list(connection.iterdump()) == before
