"""The store in one SQLite file."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date, timedelta
from pathlib import Path
from time import monotonic, sleep
from weakref import WeakSet

from sqlite_utils import Database

from hushtally.client_sdk.canonical_json import canonical_json
from hushtally.client_sdk.errors import SurveyError
from hushtally.client_sdk.protocol.cell import Cell
from hushtally.client_sdk.protocol.store_file import (
    BATCHES,
    CELLS,
    COLLECTOR,
    COLLECTOR_SCHEMA,
    COLLECTOR_TABLES,
    COUNTS,
    SURVEYS,
    no_collector,
)
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.differences import changed
from hushtally.client_sdk.survey.retention import Retention
from hushtally.collector.admission import Admission
from hushtally.collector.database_file import identity, require_writable, stated
from hushtally.collector.store import Counted, Erasure, StoreError
from hushtally.collector.vacuum import Vacuum

# two cells with one key break the primary key, which is not the conflict that is passed over
_ADD_CELL = f"{CELLS.insert} ON CONFLICT (survey, version, question, cohort, epoch) DO NOTHING"
_ADD_COUNT = f"{COUNTS.insert} ON CONFLICT (cell, symbol) DO UPDATE SET count = count + excluded.count"


def _create(database: Database) -> None:
    for table in COLLECTOR_TABLES:
        database.execute(table.create)


# also counts of a survey that is not there are held, and not forgotten
_HELD = """SELECT id, version, definition FROM surveys
    UNION ALL SELECT DISTINCT survey, version, NULL FROM cells
    WHERE (survey, version) NOT IN (SELECT id, version FROM surveys)
    ORDER BY 1, 2"""


# the step at index n takes a database from user_version n to n + 1
MIGRATIONS: tuple[Callable[[Database], None], ...] = (_create,)  # COLLECTOR_SCHEMA of them

_opening = threading.RLock()
_open: WeakSet[SqliteStore] = WeakSet()

ROOM = 2**23  # bytes on the disk in which any batch can be counted: a page of the log and one of the file per report


class SqliteStore:
    """A Store in the SQLite file at `path`, made there if nothing is; any thread may use it, one at a time.

    Once closed, the file stands alone: whoever reads it then leaves nothing beside it. patience: how many seconds to
    wait for another program's transaction. Raises StoreError, and leaves the file as it is, when it is not one of ours,
    comes from a newer version, is locked or cannot be opened; and later, when it is no longer where it was.
    """

    def __init__(self, path: str | Path, *, patience: float = 5.0) -> None:
        self.path = Path(path).resolve()  # SQLite keeps the log beside the file itself, not beside a link to it
        self._patience = patience
        self._lock = threading.RLock()
        with _opening:
            self._file = identity(self.path)
            # to open a file and close it drops the locks that SQLite has on it in this process
            if self._file is None or all(one._file != self._file for one in _open):
                self._require_ours(*stated(self.path))
                require_writable(self.path)
            with self._errors():
                connection = sqlite3.connect(self.path, timeout=patience, isolation_level=None, check_same_thread=False)
            self._file = identity(self.path)
            try:
                self._open(connection)
            except BaseException:
                connection.close()
                raise
            _open.add(self)

    def _open(self, connection: sqlite3.Connection) -> None:
        with self._errors():
            self._database = Database(connection, execute_plugins=False)
            self._rebuilding = Vacuum(connection)
            for pragma in ("secure_delete = ON", "synchronous = FULL"):
                connection.execute(f"PRAGMA {pragma}")
        with self._transaction():
            self._migrate()
        with self._errors():
            self._keep_log(connection)

    def _keep_log(self, connection: sqlite3.Connection) -> None:
        """Has the file keep a log; while another process makes it into one that does, SQLite does not wait."""
        deadline = monotonic() + self._patience
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or monotonic() > deadline:
                    raise
                sleep(0.01)

    def _migrate(self) -> None:
        application = self._pragma("application_id")
        version = self._pragma("user_version")
        # SQLite may know more than the header: the rest of a write can stand in the write-ahead log
        self._require_ours(application or COLLECTOR, version)
        if version == COLLECTOR_SCHEMA:
            return
        for step in MIGRATIONS[version:]:
            step(self._database)
        self._database.conn.execute(f"PRAGMA application_id = {COLLECTOR}")
        self._database.conn.execute(f"PRAGMA user_version = {COLLECTOR_SCHEMA}")

    def _require_ours(self, application: int, version: int) -> None:
        problem = no_collector(application, version)
        if problem:
            raise StoreError(f"{self.path} {problem}")

    def _require_there(self) -> None:
        # SQLite goes on writing to a file that has no name any more
        if identity(self.path) != self._file:
            raise StoreError(
                f"database {self.path} was deleted, moved or replaced while it was collected into; what was counted "
                "went with it, and nothing more is counted until it is back or the collector is restarted"
            )

    def _pragma(self, name: str) -> int:
        (value,) = self._database.conn.execute(f"PRAGMA {name}").fetchone()
        return int(value)

    def register(self, surveys: Sequence[Survey]) -> None:
        """See Store."""
        with self._transaction():
            for survey in surveys:
                self._register(survey)

    def _register(self, survey: Survey) -> None:
        known = self._database.execute(
            "SELECT digest, definition FROM surveys WHERE id = ? AND version = ?", (survey.id, survey.version)
        ).fetchone()
        if known is None:
            row = (survey.id, survey.version, survey.digest, canonical_json(survey.resolved))
            self._database.execute(SURVEYS.insert, row)
        elif known[0] != survey.digest:
            held = _readable(known[1])
            raise StoreError(
                changed(held, survey) if held else f"{self.path}: what it has of {survey.name} cannot be read"
            )

    def surveys(self) -> list[Survey]:
        """See Store."""
        with self._errors():
            rows = self._database.execute("SELECT definition FROM surveys ORDER BY id, version").fetchall()
        return [survey for (definition,) in rows if (survey := _readable(definition)) is not None]

    def add(self, admissions: Sequence[Admission]) -> list[Counted]:
        """See Store."""
        answers: dict[str, str] = {}
        told: list[Counted] = []
        counts: dict[Cell, Counter[int]] = defaultdict(Counter)
        batches: list[tuple[bytes, str, str]] = []
        with self._transaction():
            for admission in admissions:
                first = admission.batch not in answers
                if first:
                    id = bytes.fromhex(admission.batch)
                    known = self._database.conn.execute("SELECT answer FROM batches WHERE id = ?", (id,)).fetchone()
                    first = known is None
                    answers[admission.batch] = admission.answer if first else known[0]
                    if first and admission.expires is not None:
                        batches.append((id, admission.answer, admission.expires.isoformat()))
                        for cell, symbols in admission.counts.items():
                            counts[cell].update(symbols)
                told.append(Counted(answers[admission.batch], first))
            if admissions:
                self._write(counts, batches)
            else:
                self._try()
        return told

    def _try(self) -> None:
        self._require_there()
        disk = shutil.disk_usage(self.path.parent)
        room = min(ROOM, disk.total // 10)
        if disk.free < room:
            raise StoreError(f"database {self.path}: less than {room:,} bytes are left on its disk")
        # written again though it is the same: a disk that takes nothing is not noticed by reading
        self._database.conn.execute(f"PRAGMA user_version = {COLLECTOR_SCHEMA}")

    def _write(self, counts: dict[Cell, Counter[int]], batches: list[tuple[bytes, str, str]]) -> None:
        connection = self._database.conn
        connection.executemany(
            _ADD_CELL,
            [(cell.key, cell.survey, cell.version, cell.question, cell.cohort, cell.epoch) for cell in counts],
        )
        connection.executemany(
            _ADD_COUNT,
            sorted((cell.key, symbol, count) for cell, symbols in counts.items() for symbol, count in symbols.items()),
        )
        connection.executemany(BATCHES.insert, sorted(batches))

    def purge(self, today: date) -> list[Erasure]:
        """See Store. Rows are overwritten; a copy that SQLite had moved, or has in the log, goes as it is settled."""
        with self._transaction():
            # a day more: a batch that was admitted before midnight may be written, and come again, after it
            over = today - timedelta(days=1)
            self._database.conn.execute("DELETE FROM batches WHERE expires < ?", (over.isoformat(),))
            held = self._database.conn.execute(_HELD).fetchall()
        return [self._erase(id, version, definition, today) for id, version, definition in held]

    def _erase(self, id: str, version: int, definition: str | None, today: date) -> Erasure:
        name = f"{id} v{version}"
        try:
            with self._transaction():
                sql = "SELECT cell, epoch FROM cells WHERE survey = ? AND version = ?"
                cells = self._database.conn.execute(sql, (id, version)).fetchall()
                due = _due(definition, {epoch for _, epoch in cells})
                over = [(cell,) for cell, epoch in cells if due[epoch] <= today]
                self._database.conn.executemany("DELETE FROM counts WHERE cell = ?", over)
                self._database.conn.executemany("DELETE FROM cells WHERE cell = ?", over)
        except StoreError as error:
            return Erasure(name, problem=f"the counts of {name} could not be erased: {error}")
        except (KeyError, TypeError, ValueError, OverflowError):
            return Erasure(
                name, problem=f"the counts of {name} could not be erased: its stored definition cannot be read"
            )
        erased = sorted(epoch for epoch, day in due.items() if day <= today)
        return Erasure(name, tuple(erased), min((day for day in due.values() if day > today), default=None))

    def settle(self) -> bool:
        """See Store. Empties the write-ahead log, and rebuilds the file where that is due."""
        with self._at_once():
            # first, as nobody may be reading: a rebuilt file goes through the log, which would grow by it each time
            if not self._empty_log():
                return False
            with self._errors("the file cannot be rebuilt: "):
                if not self._rebuilding.due:
                    return True
                try:
                    rebuilt = self._rebuilding.run()
                finally:
                    emptied = self._empty_log()
        return rebuilt and emptied

    def _empty_log(self) -> bool:
        with self._errors("the log cannot be emptied: "):
            (busy, _, _) = self._database.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def close(self) -> None:
        """See Store."""
        with self._errors():
            try:
                self._require_there()
                self._leave_one_file()
            finally:
                self._database.close()
                with _opening:
                    _open.discard(self)

    def _leave_one_file(self) -> None:
        # refused while others have it open: the last collector to close will
        with suppress(sqlite3.Error):
            self._database.conn.execute("PRAGMA busy_timeout = 0")
            if self._rebuilding.pending:
                self._rebuilding.run()
        with suppress(sqlite3.Error):
            self._database.conn.execute("PRAGMA journal_mode = DELETE")

    @contextmanager
    def _at_once(self) -> Iterator[None]:
        # with patience, another program that reads for long would hold up the writer
        with self._errors():
            self._database.conn.execute("PRAGMA busy_timeout = 0")
            try:
                yield
            finally:
                self._database.conn.execute(f"PRAGMA busy_timeout = {round(1000 * self._patience)}")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._errors():
            # immediate: another process on this file waits here, before either has read what the other changes
            self._database.conn.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._require_there()
                self._database.conn.execute("COMMIT")
            except BaseException:
                self._database.rollback()
                raise
            self._require_there()

    @contextmanager
    def _errors(self, doing: str = "") -> Iterator[None]:
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                raise StoreError(f"database {self.path}: {doing}{error}") from None


def _readable(definition: str) -> Survey | None:
    """A survey that was stored, None where it is damaged or of a kind that this hushtally does not know."""
    try:
        return Survey.from_resolved(json.loads(definition))
    except (SurveyError, TypeError, ValueError):
        return None


def _due(definition: str | None, epochs: set[str]) -> dict[str, date]:
    """The day of erasure of each epoch; of the definition no more is read than this needs, and nothing for none."""
    if not epochs:
        return {}
    retention = Retention.stated(json.loads(definition or "null"))
    return {epoch: retention.erased_on(epoch) for epoch in epochs}
