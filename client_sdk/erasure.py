"""What was deleted for good must not stay in the state file's log or unused space: noted with it, done soon after."""

from __future__ import annotations

import sqlite3

MOST_REBUILT = (
    2**24
)  # bytes of a file that is also rebuilt: of rows that SQLite moved, single copies may lie in its pages


def due(connection: sqlite3.Connection) -> None:
    """Notes that the log is to be emptied; in the transaction that deletes."""
    connection.execute("UPDATE file SET erasing = erasing + 1")


def empty(connection: sqlite3.Connection) -> bool:
    """Empties the log, and of a small file the unused space, if that is due; whether it is not due any more.

    Nobody waits: while another process is in the midst of reading or writing it stays due.
    """
    (due,) = connection.execute("SELECT erasing FROM file").fetchone()
    if not due:
        return True
    (patience,) = connection.execute("PRAGMA busy_timeout").fetchone()
    (size,) = connection.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").fetchone()
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        rebuilt = size > MOST_REBUILT or _rebuild(connection)
        if connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] or not rebuilt:
            return False
        # another process may have deleted more since
        done = connection.execute("UPDATE file SET erasing = 0 WHERE erasing = ?", (due,))
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return False
    finally:
        connection.execute(f"PRAGMA busy_timeout = {patience}")
    return done.rowcount == 1


def _rebuild(connection: sqlite3.Connection) -> bool:
    """Writes the file anew; not while another process writes, nor without room for it."""
    try:
        connection.execute("VACUUM")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL):
            raise
        return False
    return True
