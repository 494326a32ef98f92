"""Whether a state file is the one that was last written here, or a copy or an old one put back."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from client_sdk import schedule, seal
from client_sdk.errors import StateError


class Identity:
    """Notices that a state file was copied or restored, so that no answer is given a second time from it.

    The file counts its answers; a mark beside it repeats the count once the answers are durable and before they are
    sent, and the file notes which file that mark is and when it last changed: a time that no program can set. So a
    file behind its mark, without it, or beside one that anything else has touched (a copy, a backup put back, a
    change of owner or mode) is not known to hold all that was answered; every schedule in it falls silent, for good,
    as do surveys that had begun by then. What it cannot notice is a whole disk put back to an earlier state.
    """

    def __init__(self, path: str) -> None:
        self._mark = Path(f"{path}.mark")

    def verify(self, connection: sqlite3.Connection) -> None:
        """Silences what is in the file unless it is the one last written here. Within a transaction.

        Raises StateError for a damaged file.
        """
        count, mark, changed, sealed = connection.execute("SELECT answers, mark, changed, seal FROM file").fetchone()
        if sealed != seal.file(connection):
            raise StateError(seal.BROKEN)
        marked = self._marked()
        if marked if mark is None else not self._ours(count, marked, mark, changed):
            schedule.doubt_all(connection)
            connection.execute("UPDATE file SET seal = ?", (seal.file(connection),))
        elif mark is not None:
            return
        self._settle(connection, max(count, marked or 0))

    def answered(self, connection: sqlite3.Connection) -> None:
        """Counts an answer. Within the transaction that gives it."""
        connection.execute("UPDATE file SET answers = answers + 1, changed = NULL")

    def settled(self, connection: sqlite3.Connection) -> bool:
        """Whether the mark repeats the count of the file."""
        (settled,) = connection.execute("SELECT changed IS NOT NULL FROM file").fetchone()
        return bool(settled)

    def mark(self, connection: sqlite3.Connection) -> None:
        """Repeats the count beside the file. In a transaction after that of the answers, before anything is sent."""
        if not self.settled(connection):
            (count,) = connection.execute("SELECT answers FROM file").fetchone()
            self._settle(connection, count)

    def _settle(self, connection: sqlite3.Connection, count: int) -> None:
        self._write(count)
        mark, changed = self._found()
        connection.execute("UPDATE file SET answers = ?, mark = ?, changed = ?", (count, mark, changed))

    def _ours(self, count: int, marked: int | None, mark: str, changed: int | None) -> bool:
        """Whether the mark is the file's own, and repeats its count if it was written since.

        Its last change counts only then: a process may have died between writing the mark and noting it.
        """
        try:
            found = self._found()
        except OSError:
            return False
        if marked is None or found[0] != mark:
            return False
        return marked <= count if changed is None else (marked, found[1]) == (count, changed)

    def _found(self) -> tuple[str, int]:
        found = self._mark.stat()
        return str(found.st_ino), found.st_ctime_ns

    def _marked(self) -> int | None:
        try:
            descriptor = os.open(self._mark, os.O_RDONLY)
            try:
                return int(os.read(descriptor, 100))
            finally:
                os.close(descriptor)
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
