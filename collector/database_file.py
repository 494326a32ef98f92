"""A database's file as it lies on the disk: looked at without SQLite, which could change it."""

from __future__ import annotations

import os
from pathlib import Path

from hushtally.client_sdk.protocol.store_file import COLLECTOR
from hushtally.client_sdk.stale_log import header, stale_log
from hushtally.collector.store import StoreError


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


def stated(path: Path) -> tuple[int, int]:
    """The application id and the version that a file states, of a new one if it is missing or empty.

    Raises StoreError where no database can be, and for one beside which another's log is left.
    """
    try:
        found = header(path)
        problem = stale_log(path)
    except FileNotFoundError:
        if path.parent.is_dir():
            return COLLECTOR, 0
        raise StoreError(f"{path} cannot be written: there is no folder {path.parent}") from None
    except IsADirectoryError:
        raise StoreError(f"{path} is a folder, no database") from None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from None
    if not found:
        return COLLECTOR, 0
    if len(found) < 100 or not found.startswith(b"SQLite format 3\0"):
        return 0, 0
    if problem is not None:
        raise StoreError(problem)
    return int.from_bytes(found[68:72], "big"), int.from_bytes(found[60:64], "big")
