"""Rollback detection: whether a state file is the one that was last written here, or an older copy put back."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from typing import NamedTuple

from hushtally.client_sdk.errors import StateError
from hushtally.client_sdk.state import checksum
from hushtally.client_sdk.state.silence import Silence

TOKEN_BYTES = 16
NO_TOKEN = bytes(TOKEN_BYTES)  # in the mark of a file that has not answered yet
REFRESH_SECONDS = 30.0  # an older token gets a new time before it is written to the mark
MAX_DELAY_SECONDS = 60.0  # between the time of a token and its mark: the rest is for waiting and for a slow disk


class _Mark(NamedTuple):
    """What the mark file says: its token, and its inode and time of change, which no program can set."""

    token: bytes
    inode: str
    changed: int

    @classmethod
    def of(cls, descriptor: int, token: bytes) -> _Mark:
        status = os.fstat(descriptor)
        return cls(token, str(status.st_ino), status.st_ctime_ns)

    def written_near(self, nanoseconds: int) -> bool:
        """Return whether the mark changed at about this time; the file system's clock may lag behind."""
        return abs(self.changed - nanoseconds) <= MAX_DELAY_SECONDS * 1e9


class RollbackGuard:
    """Detects that a state file was copied or restored, so that the device does not answer twice.

    Every answer and every withdrawal draws a random token in the state file. After that transaction, and before
    anything is sent, the token is written to the mark file `<state>.mark`. The state file then stores the token, the
    mark's inode and the mark's time of change, which no program can set.

    A rollback is detected if the mark is missing, has another token, is another file, or was touched by anything else:
    a copy, a restored backup, a change of owner or mode. Then every schedule in the file falls silent for good, and so
    does every survey that had begun by then.

    Limits. A process may end after it wrote the mark and before the state file stored it. Therefore a mark with the
    pending token is accepted if it changed within a minute of the token's time, by this machine's clock. A backup of
    both files from that moment can be put back unnoticed within that minute, or with the clock set back to it. A whole
    disk that is put back is not detected. Neither are files that are put back within the few milliseconds in which
    the file system reports the same time.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(f"{path}.mark")

    def verify(self, connection: sqlite3.Connection) -> None:
        """Record a rollback if the file is not the one last written here; within a transaction.

        Raises StateError if the file is damaged, OSError if the mark cannot be read now.
        """
        token, pending, pending_since, inode, changed, stored = connection.execute(
            "SELECT mark_token, pending_token, pending_since, mark_inode, mark_changed, checksum FROM file"
        ).fetchone()
        if stored != checksum.of_file(connection):
            raise StateError(Silence.DAMAGED)
        mark = self._read()
        if mark == (token, inode, changed):
            return
        if mark is not None and (mark.token, mark.inode) == (pending, inode) and mark.written_near(pending_since):
            self._store(connection, mark)
        elif inode is None and (mark is None or mark.token in (NO_TOKEN, b"")):
            self._store(connection, self._write(NO_TOKEN))  # a new file
        else:
            _record_rollback(connection)
            self._store(connection, self._write(os.urandom(TOKEN_BYTES)))

    def draw_token(self, connection: sqlite3.Connection) -> None:
        """Draw a token that older copies lack; within the transaction of an answer or a withdrawal."""
        connection.execute(
            "UPDATE file SET pending_token = ?, pending_since = ?", (os.urandom(TOKEN_BYTES), time.time_ns())
        )

    def is_marked(self, connection: sqlite3.Connection) -> bool:
        """Return whether the mark has the token of the last answer."""
        (marked,) = connection.execute("SELECT pending_token IS NULL FROM file").fetchone()
        return bool(marked)

    def is_old(self, connection: sqlite3.Connection) -> bool:
        """Return whether `refresh_token` must come before `write_mark`."""
        (since,) = connection.execute("SELECT pending_since FROM file").fetchone()
        return bool(abs(time.time_ns() - since) > REFRESH_SECONDS * 1e9)

    def refresh_token(self, connection: sqlite3.Connection) -> None:
        """Give the token the current time; in a transaction that is durable before that of `write_mark` begins."""
        self.verify(connection)  # or the token of an older copy would be refreshed too
        connection.execute("UPDATE file SET pending_since = ?", (time.time_ns(),))

    def write_mark(self, connection: sqlite3.Connection) -> None:
        """Write the token to the mark; in a transaction after that of the answers, before anything is sent."""
        self.verify(connection)  # an older copy may have been put back under a running client
        (pending,) = connection.execute("SELECT pending_token FROM file").fetchone()
        if pending is not None:
            self._store(connection, self._write(pending))

    def _store(self, connection: sqlite3.Connection, mark: _Mark) -> None:
        connection.execute(
            "UPDATE file SET mark_token = ?, mark_inode = ?, mark_changed = ?, pending_token = NULL", mark
        )

    def _read(self) -> _Mark | None:
        """Return the mark; None if there is none. Raises OSError if it cannot be read now."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            return _Mark.of(descriptor, os.read(descriptor, TOKEN_BYTES))
        finally:
            os.close(descriptor)

    def _write(self, token: bytes) -> _Mark:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            # always the same number of bytes in one write, so that nobody reads half a token
            os.write(descriptor, token)
            os.fsync(descriptor)
            return _Mark.of(descriptor, token)
        finally:
            os.close(descriptor)


def _record_rollback(connection: sqlite3.Connection) -> None:
    """End every schedule of every device in this file for good, and every survey that has begun by now."""
    connection.execute("UPDATE file SET rollbacks = rollbacks + 1, rollback_day = NULL")
    checksum.update_file(connection)
