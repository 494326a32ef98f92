"""A database's file as it lies on the disk: looked at without SQLite, which could change it."""

from __future__ import annotations

import os
from pathlib import Path

from client_sdk.file_kinds import COLLECTOR
from collector.store import StoreError

NO_LOG = 1  # in the header of a database that was closed, or copied by SQLite: nothing of it is in a log


def identity(path: Path) -> tuple[int, int] | None:
    """Which file the path names, None for none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def require_writable(path: Path) -> None:
    """SQLite says only that it is unable to open a file; it also needs a log beside it."""
    if not os.access(path.parent, os.W_OK):
        raise StoreError(f"{path} cannot be written: its folder {path.parent} is not writable")
    try:
        path.touch(mode=0o600)  # its counts are of fewer reports than are published
        path.open("ab").close()
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}") from None


def _require_no_log(path: Path) -> None:
    """SQLite would write the log of a crashed collector into a backup that was put back over its database."""
    log = path.with_name(f"{path.name}-wal")
    # a collector that started since the header was read has a log, and has changed the header before
    if log.exists() and log.stat().st_size and _header(path)[18:19] == bytes([NO_LOG]):
        raise StoreError(
            f"{path} was put in the place of another database, whose log is still there: with no collector running,"
            f" delete {log} and {path}-shm, then start again"
        )


def _header(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(100)


def stated(path: Path) -> tuple[int, int]:
    """The application id and the version that a file states, of a new one if it is missing or empty.

    Raises StoreError where no database can be, and for one beside which another's log is left.
    """
    try:
        header = _header(path)
    except FileNotFoundError:
        if path.parent.is_dir():
            return COLLECTOR, 0
        raise StoreError(f"{path} cannot be written: there is no folder {path.parent}") from None
    except IsADirectoryError:
        raise StoreError(f"{path} is a folder, no database") from None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from None
    if not header:
        return COLLECTOR, 0
    if len(header) < 100 or not header.startswith(b"SQLite format 3\0"):
        return 0, 0
    if header[18] == NO_LOG:
        _require_no_log(path)
    return int.from_bytes(header[68:72], "big"), int.from_bytes(header[60:64], "big")
