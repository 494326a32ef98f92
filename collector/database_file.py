"""The database's file on the disk, examined without SQLite, because SQLite could change the file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

from hushtally.client_sdk.protocol.store_file import COLLECTOR
from hushtally.client_sdk.stale_log import header, stale_log
from hushtally.collector.store import StoreError

FileId: TypeAlias = tuple[int, int] | None  # device and inode number; None if there is no file
LogIds: TypeAlias = tuple[FileId, FileId]


def file_id(path: Path) -> FileId:
    """The device and inode numbers of the file at `path`; None if there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def log_ids(path: Path) -> LogIds:
    """The device and inode numbers of the write-ahead log and of its index; None for a missing file."""
    return file_id(_beside(path, "-wal")), file_id(_beside(path, "-shm"))


def log_has_content(path: Path, known: LogIds) -> bool:
    """Whether there is a write-ahead log other than the known one, and it is not empty."""
    log = _beside(path, "-wal")
    try:
        return file_id(log) != known[0] and log.stat().st_size > 0
    except FileNotFoundError:
        return False


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def require_writable(path: Path) -> None:
    """Raises StoreError, with the reason, if the file or its folder is not writable; creates a missing file.

    SQLite needs a writable folder for its log, and its own error gives no reason.
    """
    if not os.access(path.parent, os.W_OK):
        raise StoreError(f"{path} cannot be written: the folder {path.parent} is not writable")
    try:
        path.touch(mode=0o600)  # the file has counts of fewer reports than may be published
        path.open("ab").close()
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}") from None


def header_ids(path: Path) -> tuple[int, int]:
    """The application id and the user version in the file's header; those of a new database if there is no content.

    Raises StoreError if there can be no database at `path`, and if the log of another database lies beside the file.
    """
    try:
        found = header(path)
        problem = stale_log(path)
    except FileNotFoundError:
        if path.parent.is_dir():
            return COLLECTOR, 0
        raise StoreError(f"{path} cannot be written: the folder {path.parent} does not exist") from None
    except IsADirectoryError:
        raise StoreError(f"{path} is a folder, not a database") from None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from None
    if not found:
        return COLLECTOR, 0
    if len(found) < 100 or not found.startswith(b"SQLite format 3\0"):
        return 0, 0
    if problem is not None:
        raise StoreError(problem)
    return int.from_bytes(found[68:72], "big"), int.from_bytes(found[60:64], "big")
