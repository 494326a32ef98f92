"""What was deleted for good must not stay in the log of the state file either: noted with it, done soon after."""

from __future__ import annotations

import sqlite3


def due(connection: sqlite3.Connection) -> None:
    """Notes that the log is to be emptied; in the transaction that deletes."""
    connection.execute("UPDATE file SET erasing = 1")


def empty(connection: sqlite3.Connection) -> bool:
    """Empties the log if that is due; whether it is not due any more.

    Nobody waits: while another process is in the midst of reading it stays due.
    """
    busy = False
    if connection.execute("SELECT erasing FROM file").fetchone()[0]:
        (patience,) = connection.execute("PRAGMA busy_timeout").fetchone()
        connection.execute("PRAGMA busy_timeout = 0")
        try:
            busy = bool(connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])
        finally:
            connection.execute(f"PRAGMA busy_timeout = {patience}")
        if not busy:
            connection.execute("UPDATE file SET erasing = 0")
    return not busy
