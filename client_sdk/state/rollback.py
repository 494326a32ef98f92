"""Rollback detection: distinguishes the state file that was last written here from an older copy."""

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
NO_TOKEN = bytes(TOKEN_BYTES)  # in the mark of a state file without answers
REFRESH_SECONDS = 30.0  # a token older than this gets a new time before it is written to the mark
MAX_DELAY_SECONDS = 60.0  # the longest time between a token and its mark; leaves time for waiting and for a slow disk


class _Mark(NamedTuple):
    """The token in the mark file, and the file's inode and time of change, which no program can set."""

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

    A rollback is detected if the mark is missing, contains another token, is another file, or was changed by anything
    else: a copy, a restored backup, a change of owner or mode. After a rollback, every schedule in the file is silent
    for good. So is every survey that had begun by then.

    Limits. A process may end after it writes the mark and before the state file stores the mark. Therefore a mark with
    the pending token is accepted if it changed within a minute of the token's time, by this machine's clock. If a
    backup of both files from that moment is restored within that minute, or with the clock set back to that minute,
    the rollback is not detected. A restored disk is not detected. Files that are restored within a few milliseconds,
    while the file system still reports the same time, are not detected either.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(f"{path}.mark")

    def verify(self, connection: sqlite3.Connection) -> None:
        """Record a rollback if the file is not the file that was last written here. Call this in a transaction.

        Raises StateError if the file is damaged, and OSError if the mark cannot be read now.
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
        """Draw a token that no older copy contains. Call this in the transaction of an answer or a withdrawal."""
        connection.execute(
            "UPDATE file SET pending_token = ?, pending_since = ?", (os.urandom(TOKEN_BYTES), time.time_ns())
        )

    def is_marked(self, connection: sqlite3.Connection) -> bool:
        """Return whether the mark has the token of the last answer."""
        (marked,) = connection.execute("SELECT pending_token IS NULL FROM file").fetchone()
        return bool(marked)

    def is_old(self, connection: sqlite3.Connection) -> bool:
        """Return whether the token is so old that `refresh_token` must be called before `write_mark`."""
        (since,) = connection.execute("SELECT pending_since FROM file").fetchone()
        return bool(abs(time.time_ns() - since) > REFRESH_SECONDS * 1e9)

    def refresh_token(self, connection: sqlite3.Connection) -> None:
        """Give the token the current time. This transaction must be durable before the one of `write_mark` begins."""
        self.verify(connection)  # otherwise the token of an older copy would be refreshed too
        connection.execute("UPDATE file SET pending_since = ?", (time.time_ns(),))

    def write_mark(self, connection: sqlite3.Connection) -> None:
        """Write the token to the mark. Call this in a new transaction after the answers, before anything is sent."""
        self.verify(connection)  # an older copy may have been restored while the client was running
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
            # always the same number of bytes in one write, so that no reader sees half a token
            os.write(descriptor, token)
            os.fsync(descriptor)
            return _Mark.of(descriptor, token)
        finally:
            os.close(descriptor)


def _record_rollback(connection: sqlite3.Connection) -> None:
    """Silence every schedule of every device in this file for good, and every survey that has begun by now."""
    connection.execute("UPDATE file SET rollbacks = rollbacks + 1, rollback_day = NULL")
    checksum.update_file(connection)
