"""Detects a write-ahead log that belongs to another database. SQLite would apply it, so the files are read directly."""

from __future__ import annotations

from pathlib import Path

NO_LOG = 1  # byte 18 of a database that was closed, or copied by SQLite: the database is complete without a log


def header(path: Path) -> bytes:
    """Return the first 100 bytes of a file. Call it only while this process has no SQLite connection to the file.

    Closing a file releases the locks that SQLite holds on it in the same process.
    """
    with path.open("rb") as file:
        return file.read(100)


def stale_log(path: Path) -> str | None:
    """Return why SQLite must not open this database, because it would apply another database's log; None if it may.

    Such a log is left by a crash, if a backup is then copied over the database. Raises OSError if the file cannot be
    read. See also `header`.
    """
    path = path.resolve()  # SQLite looks for the log beside the file itself, not beside a link to it
    log = path.with_name(f"{path.name}-wal")
    # read twice: a collector that has just started changes the header before it creates the log
    if not _closed(path) or not log.exists() or not log.stat().st_size or not _closed(path):
        return None
    return (
        f"{path} was put in the place of another database whose write-ahead log is still there and may contain its last"
        f" counts. Stop the collector, then move {log} and {path}-shm to another folder"
    )


def _closed(path: Path) -> bool:
    return header(path)[18:19] == bytes([NO_LOG])
