"""The device's one SQLite file: who may write it, when it is durable, and what is erased for good."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakValueDictionary

from client_sdk.errors import ClientError

APPLICATION_ID = 0x68757364  # "husd", so that no other database is taken for ours
VERSION = 1
BUSY_SECONDS = 5.0
MEMORY = ":memory:"

_SCHEMA = """
CREATE TABLE file(salt BLOB NOT NULL);
CREATE TABLE devices(device INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE);
CREATE TABLE consents(
    device INTEGER, survey TEXT, version INTEGER, digest TEXT, granted INTEGER NOT NULL, day INTEGER NOT NULL,
    PRIMARY KEY(device, survey)) WITHOUT ROWID;
CREATE TABLE events(
    id INTEGER PRIMARY KEY, device INTEGER NOT NULL, day INTEGER NOT NULL, name TEXT NOT NULL, fields TEXT NOT NULL);
CREATE INDEX events_by_device ON events(device, day);
CREATE TABLE schedules(
    device INTEGER, digest TEXT, phase INTEGER NOT NULL, questions TEXT NOT NULL,
    PRIMARY KEY(device, digest)) WITHOUT ROWID;
CREATE TABLE answers(
    device INTEGER, digest TEXT, question TEXT, value INTEGER, symbol INTEGER NOT NULL, used INTEGER NOT NULL,
    PRIMARY KEY(device, digest, question, value)) WITHOUT ROWID;
CREATE TABLE ledger(
    device INTEGER, survey TEXT, version INTEGER, question TEXT, epoch TEXT, epsilon REAL NOT NULL,
    PRIMARY KEY(device, survey, version, question, epoch)) WITHOUT ROWID;
CREATE TABLE outbox(
    batch TEXT PRIMARY KEY, device INTEGER NOT NULL, digest TEXT NOT NULL, expires INTEGER NOT NULL,
    body BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX outbox_by_device ON outbox(device);
CREATE TABLE counters(
    device INTEGER, name TEXT, count INTEGER NOT NULL, PRIMARY KEY(device, name)) WITHOUT ROWID;
"""


class State:
    """An open state file, shared by all clients of this process that name the same path.

    One connection under one lock; a forked child opens its own. Raises ClientError when the file cannot be opened or
    is not ours; later failures come as sqlite3.Error.
    """

    _open: ClassVar[WeakValueDictionary[str, State]] = WeakValueDictionary()
    _opening: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._pid = 0
        self._connection: sqlite3.Connection | None = None
        try:
            with self.lock() as connection:
                self._migrate(connection)
                self._salt: bytes = connection.execute("SELECT salt FROM file").fetchone()[0]
        except sqlite3.Error as error:
            raise ClientError(f"the state file {path} cannot be used: {error}") from None

    @classmethod
    def at(cls, path: str | os.PathLike[str]) -> State:
        """The state at `path` ("~" is the home directory), made if it is not there; ":memory:" is a new one."""
        if str(path) == MEMORY:
            return cls(MEMORY)
        place = Path(path).expanduser().resolve()
        with cls._opening:
            state = cls._open.get(str(place))
            if state is None:
                try:
                    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                    place.touch(mode=0o600)
                except OSError as error:
                    raise ClientError(f"the state file {place} cannot be used: {error.strerror}") from None
                state = cls._open[str(place)] = cls(str(place))
            return state

    @contextmanager
    def lock(self) -> Iterator[sqlite3.Connection]:
        """The connection, for this thread alone; every statement commits by itself."""
        with self._lock:
            if self._connection is None or (self._pid != os.getpid() and self.path != MEMORY):
                # never closed after a fork: closing would drop the parent's locks on the file
                self._connection, self._pid = self._connect(), os.getpid()
            yield self._connection

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One transaction that is on the disk when the block ends, or not there at all."""
        with self.lock() as connection:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise
            finally:
                connection.execute("PRAGMA synchronous = NORMAL")

    def device(self, key: str) -> int:
        """The number of the device with this local key; the key itself is kept as a salted hash only."""
        hashed = hashlib.sha256(self._salt + key.encode()).digest()
        with self.lock() as connection:
            connection.execute("INSERT OR IGNORE INTO devices(key) VALUES (?)", (hashed,))
            number: int = connection.execute("SELECT device FROM devices WHERE key = ?", (hashed,)).fetchone()[0]
            return number

    def erase_deleted(self) -> None:
        """Makes what was deleted unreadable in the file and its log."""
        with self.lock() as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Closes the connection; the next use opens it again (what was in memory is gone)."""
        with self._lock:
            if self._connection is not None and self._pid == os.getpid():
                self._connection.close()
            self._connection = None

    def __del__(self) -> None:
        with suppress(AttributeError, sqlite3.Error):
            self.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA secure_delete = ON")
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    connection.execute(statement)
                connection.execute("INSERT INTO file(salt) VALUES (?)", (os.urandom(16),))
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {VERSION}")
            elif _pragma(connection, "application_id") != APPLICATION_ID:
                raise ClientError(f"the state file {self.path} is a database of something else")
            elif _pragma(connection, "user_version") > VERSION:
                raise ClientError(f"the state file {self.path} was written by a newer hushtally")
        finally:
            connection.execute("COMMIT")


def count(connection: sqlite3.Connection, device: int, name: str, by: int = 1) -> None:
    """Adds to one of the device's counters."""
    connection.execute(
        "INSERT INTO counters VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
        (device, name, by),
    )


def _pragma(connection: sqlite3.Connection, name: str) -> Any:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]
