"""The store in one SQLite file."""

from __future__ import annotations

import json
import logging
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
    collector_problem,
)
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.differences import describe_change
from hushtally.client_sdk.survey.retention import Retention
from hushtally.collector.admission import Admission
from hushtally.collector.database_file import (
    LogIds,
    file_id,
    header_ids,
    log_has_content,
    log_ids,
    require_writable,
)
from hushtally.collector.outcome import Outcome
from hushtally.collector.store import Counted, Erasure, StoreError
from hushtally.collector.vacuum import Vacuum

_log = logging.getLogger("hushtally.collector")

MIN_FREE_BYTES = 2**23  # enough for any batch: one page of the log and one page of the file per report

# ignores a cell that exists already; two different cells with the same key still violate the primary key
_ADD_CELL = f"{CELLS.insert} ON CONFLICT (survey, version, question, cohort, epoch) DO NOTHING"
_ADD_COUNT = f"{COUNTS.insert} ON CONFLICT (cell, symbol) DO UPDATE SET count = count + excluded.count"
# also returns surveys that have counts but no stored definition, so that the purge reports them
_ALL_SURVEYS = """SELECT id, version, definition FROM surveys
    UNION ALL SELECT DISTINCT survey, version, NULL FROM cells
    WHERE (survey, version) NOT IN (SELECT id, version FROM surveys)
    ORDER BY 1, 2"""


def _create_tables(database: Database) -> None:
    for table in COLLECTOR_TABLES:
        database.execute(table.create)


# the step at index n migrates a database from user_version n to n + 1; there are COLLECTOR_SCHEMA steps
MIGRATIONS: tuple[Callable[[Database], None], ...] = (_create_tables,)

_opening = threading.RLock()
_open_stores: WeakSet[SqliteStore] = WeakSet()


class SqliteStore:
    """A Store in the SQLite file at `path`, which is created if it does not exist. Its methods are thread-safe.

    A closed store leaves a single file. A program that reads this file creates no other file beside it.

    timeout: seconds to wait for another program's transaction. The constructor raises StoreError, and leaves the file
    unchanged, if the file is not a collector's database, was written by a newer version, is locked or cannot be opened.
    Methods that write, and `close`, raise StoreError if the file is no longer at `path`.
    """

    def __init__(self, path: str | Path, *, timeout: float = 5.0) -> None:
        self.path = Path(path).resolve()  # SQLite puts the log beside the file itself, not beside a link to the file
        self._timeout = timeout
        self._lock = threading.RLock()
        self._log_ids: LogIds | None = None  # known in WAL mode
        self._log_rescued = False  # the log was gone and is saved, but the database is not open again yet
        with _opening:
            self._file_id = file_id(self.path)
            # skip the checks if a store in this process has the file open: the checks open and close the file, which
            # would drop the locks that SQLite holds on it
            if self._file_id is None or all(store._file_id != self._file_id for store in _open_stores):
                self._require_collector(*header_ids(self.path))
                require_writable(self.path)
            self._connect()
            self._file_id = file_id(self.path)
            try:
                self._open()
            except BaseException:
                self._database.close()
                raise
            _open_stores.add(self)

    def _connect(self) -> None:
        with self._errors():
            connection = sqlite3.connect(
                self.path, timeout=self._timeout, isolation_level=None, check_same_thread=False
            )
        self._database = Database(connection, execute_plugins=False)
        self._vacuum = Vacuum(connection)

    def _open(self) -> None:
        with self._errors():
            for pragma in ("secure_delete = ON", "synchronous = FULL"):
                self._database.conn.execute(f"PRAGMA {pragma}")
        with self._transaction():
            self._migrate()
        with self._errors():
            self._enable_wal(self._database.conn)
            self._pragma("user_version")  # the first read in WAL mode creates the log's files
            self._log_ids = log_ids(self.path)

    def _enable_wal(self, connection: sqlite3.Connection) -> None:
        """Switches to WAL mode; retries while another process does the same, because SQLite does not wait then."""
        deadline = monotonic() + self._timeout
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
        # ask SQLite again: the newest header can be in the write-ahead log instead of the file
        self._require_collector(application or COLLECTOR, version)
        if version == COLLECTOR_SCHEMA:
            return
        for step in MIGRATIONS[version:]:
            step(self._database)
        self._database.conn.execute(f"PRAGMA application_id = {COLLECTOR}")
        self._database.conn.execute(f"PRAGMA user_version = {COLLECTOR_SCHEMA}")

    def _require_collector(self, application: int, version: int) -> None:
        problem = collector_problem(application, version)
        if problem:
            raise StoreError(f"{self.path} {problem}")

    def _require_same_file(self) -> None:
        # SQLite does not notice that a file was deleted, and continues to write to it
        if file_id(self.path) != self._file_id:
            raise StoreError(
                f"database {self.path} was deleted, moved or replaced while the collector was running; its counts are"
                " gone with it, and nothing is counted until the file is back or the collector is restarted"
            )

    def _rescue_log(self) -> None:
        """If a file of the write-ahead log was deleted or replaced, move its contents to the database.

        SQLite does not notice, and continues to write to the deleted file, which is gone when the process ends.
        """
        known = self._log_ids
        if known is None or (log_ids(self.path) == known and not self._log_rescued):
            return
        self._require_same_file()  # a new database must not be created in its place
        gone = f"database {self.path}: its log (-wal or -shm) was deleted or replaced while the collector was running"
        if log_has_content(self.path, known):
            raise StoreError(f"{gone}, and another program writes to a new log; restart the collector")
        try:
            if not self._log_rescued:
                if not self._empty_log():
                    raise StoreError("another program is reading the database")
                self._database.close()  # before the next line, because SQLite would share the deleted files
                self._log_rescued = True
            self._log_ids = None
            self._connect()
            self._open()
        except StoreError as error:
            self._log_ids = known
            raise StoreError(f"{gone}, and its contents cannot be saved yet: {error}") from None
        self._log_rescued = False
        _log.warning("%s; its contents were saved in the database, and nothing was lost", gone)

    def _pragma(self, name: str) -> int:
        (value,) = self._database.conn.execute(f"PRAGMA {name}").fetchone()
        return int(value)

    def register(self, surveys: Sequence[Survey]) -> None:
        """See Store."""
        with self._transaction():
            for survey in surveys:
                self._register(survey)

    def _register(self, survey: Survey) -> None:
        row = self._database.execute(
            "SELECT digest, definition FROM surveys WHERE id = ? AND version = ?", (survey.id, survey.version)
        ).fetchone()
        if row is None:
            values = (survey.id, survey.version, survey.digest, canonical_json(survey.resolved))
            self._database.execute(SURVEYS.insert, values)
            return
        digest, definition = row
        if digest != survey.digest:
            stored = _parse_survey(definition)
            raise StoreError(
                describe_change(stored, survey)
                if stored
                else f"{self.path}: the stored definition of {survey.name} cannot be read"
            )

    def surveys(self) -> list[Survey]:
        """See Store."""
        with self._errors():
            rows = self._database.execute("SELECT definition FROM surveys ORDER BY id, version").fetchall()
        return [survey for (definition,) in rows if (survey := _parse_survey(definition)) is not None]

    def add(self, admissions: Sequence[Admission]) -> list[Counted]:
        """See Store."""
        responses: dict[str, str] = {}
        outcomes: list[Counted] = []
        counts: dict[Cell, Counter[int]] = defaultdict(Counter)
        batches: list[tuple[bytes, bytes, str]] = []
        with self._transaction():
            for admission in admissions:
                new = admission.batch not in responses
                if new:
                    id = bytes.fromhex(admission.batch)
                    stored = self._database.conn.execute("SELECT outcome FROM batches WHERE id = ?", (id,)).fetchone()
                    new = stored is None
                    responses[admission.batch] = (admission.outcome if new else Outcome.unpack(stored[0])).response
                    if new and admission.expires is not None:
                        batches.append((id, admission.outcome.pack(), admission.expires.isoformat()))
                        for cell, symbols in admission.counts.items():
                            counts[cell].update(symbols)
                outcomes.append(Counted(responses[admission.batch], new))
            if admissions:
                self._write(counts, batches)
            else:
                self._test_write()
        return outcomes

    def _test_write(self) -> None:
        self._require_same_file()
        disk = shutil.disk_usage(self.path.parent)
        needed = min(MIN_FREE_BYTES, disk.total // 10)
        if disk.free < needed:
            raise StoreError(f"database {self.path}: fewer than {needed:,} bytes are free on its disk")
        # writes the value that is already stored, because only a write shows that the disk accepts writes
        self._database.conn.execute(f"PRAGMA user_version = {COLLECTOR_SCHEMA}")

    def _write(self, counts: dict[Cell, Counter[int]], batches: list[tuple[bytes, bytes, str]]) -> None:
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
        """See Store. SQLite overwrites deleted rows; a checkpoint removes copies in the log and on other pages."""
        with self._transaction():
            # keep each row one day longer: a batch that was admitted before midnight may be written or retried after it
            yesterday = today - timedelta(days=1)
            self._database.conn.execute("DELETE FROM batches WHERE expires < ?", (yesterday.isoformat(),))
            surveys = self._database.conn.execute(_ALL_SURVEYS).fetchall()
        return [self._erase(id, version, definition, today) for id, version, definition in surveys]

    def _erase(self, id: str, version: int, definition: str | None, today: date) -> Erasure:
        name = f"{id} v{version}"
        try:
            with self._transaction():
                sql = "SELECT cell, epoch FROM cells WHERE survey = ? AND version = ?"
                cells = self._database.conn.execute(sql, (id, version)).fetchall()
                due = _erasure_days(definition, {epoch for _, epoch in cells})
                expired = [(cell,) for cell, epoch in cells if due[epoch] <= today]
                self._database.conn.executemany("DELETE FROM counts WHERE cell = ?", expired)
                self._database.conn.executemany("DELETE FROM cells WHERE cell = ?", expired)
        except StoreError as error:
            return Erasure(name, problem=f"the counts of {name} could not be erased: {error}")
        except (KeyError, TypeError, ValueError, OverflowError):
            return Erasure(
                name, problem=f"the counts of {name} could not be erased: the stored definition cannot be read"
            )
        erased = sorted(epoch for epoch, day in due.items() if day <= today)
        return Erasure(name, tuple(erased), min((day for day in due.values() if day > today), default=None))

    def checkpoint(self) -> bool:
        """See Store. Empties the write-ahead log, and rebuilds the file if a rebuild is due."""
        with self._without_waiting():
            self._rescue_log()
            # empty the log first: a rebuild writes to the log, so rebuilds would grow it while another program reads
            if not self._empty_log():
                return False
            with self._errors("the file cannot be rebuilt: "):
                if not self._vacuum.due:
                    return True
                try:
                    rebuilt = self._vacuum.run()
                finally:
                    emptied = self._empty_log()
        return rebuilt and emptied

    def _empty_log(self) -> bool:
        with self._errors("the write-ahead log cannot be emptied: "):
            (busy, _, _) = self._database.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def close(self) -> None:
        """See Store."""
        with self._errors():
            try:
                self._require_same_file()
                self._rescue_log()
                self._leave_one_file()
            finally:
                self._database.close()
                with _opening:
                    _open_stores.discard(self)

    def _leave_one_file(self) -> None:
        # SQLite refuses to leave WAL mode while another program has the file open; the last collector to close succeeds
        with suppress(sqlite3.Error):
            self._database.conn.execute("PRAGMA busy_timeout = 0")
            if self._vacuum.pending:
                self._vacuum.run()
        self._log_ids = None  # SQLite deletes the log
        with suppress(sqlite3.Error):
            self._database.conn.execute("PRAGMA journal_mode = DELETE")

    @contextmanager
    def _without_waiting(self) -> Iterator[None]:
        # with the timeout, a long read by another program would delay the writer
        with self._errors():
            self._database.conn.execute("PRAGMA busy_timeout = 0")
            try:
                yield
            finally:
                self._database.conn.execute(f"PRAGMA busy_timeout = {round(1000 * self._timeout)}")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._errors():
            self._rescue_log()
            # IMMEDIATE: another process waits here, so neither process reads rows that the other is about to change
            self._database.conn.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._require_same_file()
                self._database.conn.execute("COMMIT")
            except BaseException:
                self._database.rollback()
                raise
            self._require_same_file()
            self._rescue_log()

    @contextmanager
    def _errors(self, action: str = "") -> Iterator[None]:
        """Holds the lock, and raises SQLite's errors as StoreError. action: what failed, ending in a colon."""
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                raise StoreError(f"database {self.path}: {action}{error}") from None


def _parse_survey(definition: str) -> Survey | None:
    """Returns the stored survey; None if its definition is damaged or not supported by this version."""
    try:
        return Survey.from_resolved(json.loads(definition))
    except (SurveyError, TypeError, ValueError):
        return None


def _erasure_days(definition: str | None, epochs: set[str]) -> dict[str, date]:
    """Returns the day of erasure of each epoch.

    Reads only the retention from the definition, so that counts can be erased even if the rest of the definition cannot
    be read. Reads nothing if there are no epochs.
    """
    if not epochs:
        return {}
    retention = Retention.stated(json.loads(definition or "null"))
    return {epoch: retention.erased_on(epoch) for epoch in epochs}
