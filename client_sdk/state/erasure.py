"""What was deleted for good must not stay in the log of the state file either: noted with it, done soon after."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress

MOST_REBUILT = (
    2**24
)  # bytes of a file that is also rebuilt: of rows that SQLite moved, single copies may lie in its pages


def due(connection: sqlite3.Connection) -> None:
    """Notes that the log is to be emptied; in the transaction that deletes."""
    connection.execute("UPDATE file SET erasing = erasing + 1")


def empty(connection: sqlite3.Connection) -> bool:
    """Empties the log if that is due; whether it is not due any more.

    Nobody waits: while another process is in the midst of reading or writing it stays due.
    """
    due, done = connection.execute("SELECT erasing, erased FROM file").fetchone()
    if due == done:
        return True
    with _at_once(connection):
        try:
            if not _empty_log(connection):
                return False
            connection.execute("UPDATE file SET erased = ? WHERE erased < ?", (due, due))
            # another process may have deleted more since
            (now,) = connection.execute("SELECT erasing FROM file").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            return False
    return bool(now == due)


def rebuild(connection: sqlite3.Connection) -> None:
    """Writes a small file anew, without the single copies of rows that SQLite moved; once the log is empty.

    Tried once, where nobody reads or writes it: what is in no table is overwritten as its place is used again.
    """
    (size,) = connection.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").fetchone()
    if size <= MOST_REBUILT:
        with suppress(sqlite3.Error), _at_once(connection):
            # the new file goes through the log, which would grow by it each time that somebody reads
            if _empty_log(connection):
                connection.execute("VACUUM")
                _empty_log(connection)


def _empty_log(connection: sqlite3.Connection) -> bool:
    return not connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]


@contextmanager
def _at_once(connection: sqlite3.Connection) -> Iterator[None]:
    (patience,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        yield
    finally:
        connection.execute(f"PRAGMA busy_timeout = {patience}")
