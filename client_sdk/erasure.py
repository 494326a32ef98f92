"""What was deleted for good must not stay in the log of the state file either: noted with it, done soon after."""

from __future__ import annotations

import sqlite3


def due(connection: sqlite3.Connection) -> None:
    """Notes that the log is to be emptied; in the transaction that deletes."""
    connection.execute("UPDATE file SET erasing = erasing + 1")


def empty(connection: sqlite3.Connection) -> bool:
    """Empties the log if that is due; whether it is not due any more.

    Nobody waits: while another process is in the midst of reading or writing it stays due.
    """
    (due,) = connection.execute("SELECT erasing FROM file").fetchone()
    if not due:
        return True
    (patience,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        if connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
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
