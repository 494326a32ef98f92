"""Whether a state file is the one that was last written here, or a copy or an old one put back."""

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
NOTHING = bytes(TOKEN_BYTES)  # the token of a file that has given no answer
RENEW_SECONDS = 30.0  # the age from which a token is renewed before the mark repeats it
NEAR_SECONDS = 60.0  # between a token and the mark that repeats it, at most: the rest is for waiting and a slow disk


class _Mark(NamedTuple):
    token: bytes
    inode: str
    changed: int

    @classmethod
    def of(cls, descriptor: int, token: bytes) -> _Mark:
        status = os.fstat(descriptor)
        return cls(token, str(status.st_ino), status.st_ctime_ns)

    def near(self, drawn: int) -> bool:
        """Whether it changed when a token drawn or renewed then was to be repeated; the file system's clock may lag."""
        return abs(self.changed - drawn) <= NEAR_SECONDS * 1e9


class RollbackGuard:
    """Notices that a state file was copied or restored, so that no answer is given a second time from it.

    With every answer, and after a withdrawal, the file draws a random token; a mark beside it repeats the token once it
    is durable and before anything is sent, and the file notes which file that mark is and when it last changed: a time
    that no program can set. So a file whose mark has another token, or none, or is another file, or was touched by
    anything else (a copy, a backup put back, a change of owner or mode) is not known to hold all that was answered;
    every schedule in it falls silent, for good, as do surveys that had begun by then.

    A process may die when the mark is written and not yet noted. So a mark with the token that is about to be noted
    passes if it changed, by this machine's clock, within a minute of when that token was drawn or last renewed: a
    backup of a file from before its mark was noted can, together with that mark, be put back in place unnoticed within
    that minute, or with the clock set back to it. Nor can it notice a whole disk put back to an earlier state, nor
    files that are put back within the few milliseconds in which the file system gives the same time.
    """

    def __init__(self, path: str) -> None:
        self._mark = Path(f"{path}.mark")

    def verify(self, connection: sqlite3.Connection) -> None:
        """Silences what is in the file unless it is the one last written here. Within a transaction.

        Raises StateError for a damaged file, OSError while the mark cannot be read.
        """
        settled, pending, drawn, inode, changed, sealed = connection.execute(
            "SELECT settled, pending, drawn, mark, changed, seal FROM file"
        ).fetchone()
        if sealed != checksum.file(connection):
            raise StateError(Silence.DAMAGED)
        found = self._found()
        if found == (settled, inode, changed):
            return
        if found is not None and (found.token, found.inode) == (pending, inode) and found.near(drawn):
            self._note(connection, found)
        elif inode is None and (found is None or found.token in (NOTHING, b"")):
            self._settle(connection, NOTHING)  # a new file
        else:
            doubt_all(connection)
            connection.execute("UPDATE file SET seal = ?", (checksum.file(connection),))
            self._settle(connection, os.urandom(TOKEN_BYTES))

    def draw(self, connection: sqlite3.Connection) -> None:
        """Draws a token. Within the transaction that gives an answer or notes a withdrawal: older copies lack it."""
        connection.execute("UPDATE file SET pending = ?, drawn = ?", (os.urandom(TOKEN_BYTES), time.time_ns()))

    def settled(self, connection: sqlite3.Connection) -> bool:
        """Whether the mark repeats the token of the last answer."""
        (settled,) = connection.execute("SELECT pending IS NULL FROM file").fetchone()
        return bool(settled)

    def aged(self, connection: sqlite3.Connection) -> bool:
        """Whether `renew` must come before `mark`."""
        (drawn,) = connection.execute("SELECT drawn FROM file").fetchone()
        return bool(abs(time.time_ns() - drawn) > RENEW_SECONDS * 1e9)

    def renew(self, connection: sqlite3.Connection) -> None:
        """Notes that the mark will be written now. In a transaction that is durable before that of `mark` begins."""
        self.verify(connection)  # or an old file would be renewed too
        connection.execute("UPDATE file SET drawn = ?", (time.time_ns(),))

    def mark(self, connection: sqlite3.Connection) -> None:
        """Repeats the token beside the file. In a transaction after that of the answers, before anything is sent."""
        self.verify(connection)  # an old file put back under a running client must not be taken for today's
        (pending,) = connection.execute("SELECT pending FROM file").fetchone()
        if pending is not None:
            self._settle(connection, pending)

    def _settle(self, connection: sqlite3.Connection, token: bytes) -> None:
        self._note(connection, self._write(token))

    def _note(self, connection: sqlite3.Connection, found: _Mark) -> None:
        connection.execute("UPDATE file SET settled = ?, mark = ?, changed = ?, pending = NULL", found)

    def _found(self) -> _Mark | None:
        """The mark that is there; None if it is missing. OSError if this cannot be found out now."""
        try:
            descriptor = os.open(self._mark, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            return _Mark.of(descriptor, os.read(descriptor, TOKEN_BYTES))
        finally:
            os.close(descriptor)

    def _write(self, token: bytes) -> _Mark:
        descriptor = os.open(self._mark, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            # always as many bytes in one write, so that it is never seen half done
            os.write(descriptor, token)
            os.fsync(descriptor)
            return _Mark.of(descriptor, token)
        finally:
            os.close(descriptor)


def doubt_all(connection: sqlite3.Connection) -> None:
    """Ends every part of every device of this file for good, and of surveys that began before it was noticed."""
    connection.execute("UPDATE file SET doubts = doubts + 1, doubted = NULL")


def doubted(connection: sqlite3.Connection) -> bool:
    """Whether the file was ever found to be another than the one last written."""
    return bool(connection.execute("SELECT doubts FROM file").fetchone()[0])
