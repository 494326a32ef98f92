"""Erasure: deleted rows must not stay readable in the write-ahead log of the state file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress

MAX_VACUUM_BYTES = 2**24  # a larger file is not rewritten


def request(connection: sqlite3.Connection) -> None:
    """Store that the log must be emptied; within the transaction that deletes."""
    connection.execute("UPDATE file SET erasures_requested = erasures_requested + 1")


def empty_log(connection: sqlite3.Connection) -> bool:
    """Empty the log if that was requested; return whether no request is left.

    The call never waits. If another process is reading or writing, the request is left.
    """
    requested, done = connection.execute("SELECT erasures_requested, erasures_done FROM file").fetchone()
    if requested == done:
        return True
    with _without_waiting(connection):
        try:
            if not _truncate_log(connection):
                return False
            connection.execute("UPDATE file SET erasures_done = ? WHERE erasures_done < ?", (requested, requested))
            # another process may have deleted more since
            (now,) = connection.execute("SELECT erasures_requested FROM file").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            return False
    return bool(now == requested)


def vacuum(connection: sqlite3.Connection) -> None:
    """Rewrite a small file, because SQLite may leave copies of rows that it moved in unused parts of pages.

    It is tried once, and only if nobody reads or writes the file. Otherwise SQLite overwrites these copies when it uses
    the pages again.
    """
    (size,) = connection.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").fetchone()
    if size <= MAX_VACUUM_BYTES:
        with suppress(sqlite3.Error), _without_waiting(connection):
            # VACUUM writes the whole file to the log, which would grow again each time that somebody reads
            if _truncate_log(connection):
                connection.execute("VACUUM")
                _truncate_log(connection)


def _truncate_log(connection: sqlite3.Connection) -> bool:
    return not connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]


@contextmanager
def _without_waiting(connection: sqlite3.Connection) -> Iterator[None]:
    (timeout,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        yield
    finally:
        with suppress(sqlite3.Error):  # as in `State.briefly`
            connection.execute(f"PRAGMA busy_timeout = {timeout}")
