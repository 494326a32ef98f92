"""Whether another database's write-ahead log lies beside a database file. Read without SQLite, which would use it."""

from __future__ import annotations

from pathlib import Path

NO_LOG = 1  # byte 18 of the header of a database that was closed, or copied by SQLite: no part of it is in a log


def header(path: Path) -> bytes:
    """The first 100 bytes of a file. Call it only while this process has no SQLite connection to the file.

    Closing a file drops the locks that SQLite holds on it in the same process.
    """
    with path.open("rb") as file:
        return file.read(100)


def stale_log(path: Path) -> str | None:
    """Why SQLite must not open this database: it would mix another database's log into it. None if it may.

    A crash leaves such a log when a backup is then copied over the database. OSError if the file cannot be read; see
    also `header`.
    """
    path = path.resolve()  # SQLite looks for the log beside the file itself, not beside a link to it
    log = path.with_name(f"{path.name}-wal")
    # read twice: a collector that has just started changes the header before it creates the log
    if not _closed(path) or not log.exists() or not log.stat().st_size or not _closed(path):
        return None
    return (
        f"{path} was put in the place of another database, whose log is still there, and may hold what that one"
        f" counted last: with no collector running, move {log} and {path}-shm away"
    )


def _closed(path: Path) -> bool:
    return header(path)[18:19] == bytes([NO_LOG])
