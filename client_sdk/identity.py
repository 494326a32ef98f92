"""Whether a state file is the one that was last written here, or a copy or an old one put back."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from client_sdk import schedule

REPLACED = "the state file was copied, restored or replaced"


class Identity:
    """Notices that a state file was copied or restored, so that no answer is given a second time from it.

    The file counts its answers; a mark beside it repeats the count once the answers are durable and before they are
    sent. A file behind its mark is an old one; a file or a mark in another place on the disk (its inode) is a copy.
    Where that is found every schedule in the file falls silent, for good; later surveys begin anew.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._mark = f"{path}.mark"

    def verify(self, connection: sqlite3.Connection) -> None:
        """Silences what is in the file unless it is the one last written here. Within a transaction."""
        count, known = connection.execute("SELECT answers, identity FROM file").fetchone()
        marked = self._marked()
        here = self._here()
        if known is not None and (here != known or marked is None or marked > count):
            schedule.silence_all(connection, REPLACED)
            known = None
        if known is None:
            self._write(max(count, marked or 0))
            connection.execute("UPDATE file SET answers = ?, identity = ?", (max(count, marked or 0), self._here()))
        elif marked != count:
            self._write(count)

    def answered(self, connection: sqlite3.Connection) -> None:
        """Counts an answer. Within the transaction that gives it."""
        connection.execute("UPDATE file SET answers = answers + 1")

    def mark(self, connection: sqlite3.Connection) -> None:
        """Repeats the count beside the file, after the transaction and before anything is sent."""
        (count,) = connection.execute("SELECT answers FROM file").fetchone()
        if (self._marked() or 0) < count:
            self._write(count)

    def _marked(self) -> int | None:
        try:
            return int(Path(self._mark).read_bytes())
        except (OSError, ValueError):
            return None

    def _write(self, count: int) -> None:
        descriptor = os.open(self._mark, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            # always twenty digits in one write, so that it is never seen half done
            os.write(descriptor, b"%020d" % count)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _here(self) -> str | None:
        with suppress(OSError):
            both = (Path(self._path).stat(), Path(self._mark).stat())
            return " ".join(f"{one.st_dev}:{one.st_ino}" for one in both)
        return None
