"""Which SQLite files are ours, and of which kind: each has its application id; and whose log lies beside them."""

from __future__ import annotations

from pathlib import Path

DEVICE = 0x68757364  # "husd": the state of devices
COLLECTOR = 0x68757368  # "hush": the counts of a collector
COLLECTOR_SCHEMA = 1  # the newest that is known, as the file's user version

NO_LOG = 1  # in the header of a database that was closed, or copied by SQLite: nothing of it is in a log


def header(path: Path) -> bytes:
    """The first 100 bytes of a file; to be read only where this process has no SQLite on it, which loses its locks."""
    with path.open("rb") as file:
        return file.read(100)


def anothers_log(path: Path) -> str | None:
    """Why a database must not be opened by SQLite, which would mix another's log into it; None if it may.

    Such a log is what a crash left beside a file over which a backup was put back then. OSError where the file cannot
    be read; for the rest see `header`.
    """
    path = path.resolve()  # SQLite looks for the log beside the file itself, not beside a link to it
    log = path.with_name(f"{path.name}-wal")
    # read again once there is a log: a collector that has just started changes the header before it has one
    if not _closed(path) or not log.exists() or not log.stat().st_size or not _closed(path):
        return None
    return (
        f"{path} was put in the place of another database, whose log is still there, and may hold what that one"
        f" counted last: with no collector running, move {log} and {path}-shm away"
    )


def _closed(path: Path) -> bool:
    return header(path)[18:19] == bytes([NO_LOG])


def no_collector(application: int, version: int) -> str | None:
    """Why a file with this application id and user version is not a collector's database; None if it is one."""
    if application == DEVICE:
        return "is a device's state file, no collector's database"
    if application != COLLECTOR:
        return "is no hushtally database"
    if version > COLLECTOR_SCHEMA:
        return f"was written by a newer hushtally (schema {version}, this one knows {COLLECTOR_SCHEMA})"
    return None
