"""SQLite connections to a state file: how they are opened, and the transactions on them."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hushtally.client_sdk.errors import SafeMessage, StateError
from hushtally.client_sdk.state import schema

RETRY_SECONDS = 0.01
FORKED = "the process was forked in the middle of the call"


class ForkedError(SafeMessage, sqlite3.ProgrammingError):
    """The process was forked in the middle of a call, and the call goes on in the child."""


class Connection(sqlite3.Connection):
    """A connection that refuses to be used in a child of its process.

    SQLite in the child would believe that it holds the locks of the parent.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._process = os.getpid()
        super().__init__(*arguments, **options)

    def adopt(self) -> None:
        """Let this process use the connection. Only for a database in memory, of which a child has its own copy."""
        self._process = os.getpid()

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        if self._process != os.getpid():
            raise ForkedError(FORKED)
        return super().execute(*arguments)

    def executemany(self, *arguments: Any) -> sqlite3.Cursor:
        if self._process != os.getpid():
            raise ForkedError(FORKED)
        return super().executemany(*arguments)


def create_file(path: Path) -> None:
    """Create the file and its folder for their owner alone, unless they exist; StateError if that fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.is_dir():
            raise StateError(f"the state file {path} cannot be used: it is a folder")
        path.touch(mode=0o600)
    except FileExistsError:
        raise StateError(f"the state file {path} cannot be used: its folder is a file") from None
    except OSError as error:
        raise StateError(f"the state file {path} cannot be used: {error.strerror}") from None


def connect(path: str, busy_seconds: float) -> Connection:
    """Open a connection that waits for other processes at most `busy_seconds`.

    Every statement outside a transaction commits by itself. StateError if the file is another database.
    """
    connection = sqlite3.connect(
        path,
        timeout=busy_seconds,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=64,
        factory=Connection,
    )
    try:
        schema.exists(connection, path)  # another database is refused before anything is changed in it
        _enable_wal(connection, busy_seconds)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA temp_store = MEMORY")  # or SQLite may write events to the system's temporary folder
    except BaseException:
        connection.close()
        raise
    return connection


def set_busy_timeout(connection: sqlite3.Connection, seconds: float) -> None:
    """Set how long statements wait for other processes."""
    connection.execute(f"PRAGMA busy_timeout = {round(1000 * seconds)}")


@contextmanager
def atomic(connection: sqlite3.Connection) -> Iterator[None]:
    """One transaction, committed at the end of the block and rolled back if the block raises."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


@contextmanager
def without_sync(connection: sqlite3.Connection) -> Iterator[None]:
    """Do not wait for the disk in this block."""
    try:
        connection.execute("PRAGMA synchronous = NORMAL")
        yield
    finally:
        with suppress(sqlite3.Error):
            connection.execute("PRAGMA synchronous = FULL")


def _enable_wal(connection: sqlite3.Connection, busy_seconds: float) -> None:
    """Switch to write-ahead logging; retry while another process does the same, because SQLite does not wait then."""
    deadline = time.monotonic() + busy_seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(RETRY_SECONDS)
