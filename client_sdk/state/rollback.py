"""Rollback detection: distinguishes the state file that was last written here from an older copy."""

from __future__ import annotations

import os
import sqlite3
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from hushtally.client_sdk.errors import StateError
from hushtally.client_sdk.state import checksum, outbox
from hushtally.client_sdk.state.silence import Silence

TOKEN_BYTES = 16
NO_TOKEN = bytes(TOKEN_BYTES)  # in the mark of a state file without answers
_GET_GENERATION = 0x80007601 | struct.calcsize("l") << 16  # Linux: FS_IOC_GETVERSION, see ioctl_iflags(2)


class _Mark(NamedTuple):
    """The token in a mark file, and what identifies the file."""

    token: bytes | None
    inode: str | None

    def is_mark(self, other: _Mark) -> bool:
        """Return whether both are the same existing file with the same token."""
        if self.inode is None or other.inode is None or self.token != other.token:
            return False
        # the generation is compared if both are known
        parts = zip(
            str(self.inode).split("."), str(other.inode).split("."), strict=False
        )  # a damaged file has any type
        return all(one == another for one, another in parts)


NO_MARK = _Mark(None, None)


class RollbackGuard:
    """Detects that a state file was copied or restored, so that the device does not answer twice.

    After answers and withdrawals, and before anything is sent, a new mark file with a random token replaces the mark
    file `<state>.mark`. The state file stores the token and the inode of the mark. A rollback is detected if the mark
    is missing, contains another token, or is another file. After a rollback, every schedule in the file is silent for
    good. So is every survey that had begun by then.

    Every copy that was made before the last mark has the inode of an earlier mark, wherever it is restored. The owner,
    the mode and the times of the mark do not matter.

    A process may end at any moment. Therefore the new file is created, and stored as pending, in one transaction, and
    replaces the mark in the next transaction. The mark may be either of them in between.

    Limits. A restored disk is not detected, because its files have their old inodes. Where the file system neither
    reports the generation of an inode nor avoids used inode numbers, a restored mark may get its old number by chance.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(f"{path}.mark")
        self._new_path = Path(f"{path}.mark.new")

    def verify(self, connection: sqlite3.Connection) -> None:
        """Record a rollback if the file is not the file that was last written here. Call this in a transaction.

        Raises StateError if the file is damaged, and OSError if the mark cannot be read now.
        """
        token, inode, pending_token, pending_inode, stored = connection.execute(
            "SELECT mark_token, mark_inode, pending_token, pending_inode, checksum FROM file"
        ).fetchone()
        if stored != checksum.of_file(connection):
            raise StateError(Silence.DAMAGED)
        found = _read(self._path)
        if found.is_mark(_Mark(token, inode)):
            return
        if found.is_mark(_Mark(pending_token, pending_inode)):
            self._confirm(connection, found)
        elif _read(self._new_path).is_mark(_Mark(token, inode)):
            self._new_path.replace(self._path)  # a power failure undid the replacement
        elif inode is None and found.token in (None, NO_TOKEN, b""):
            self._replace(connection, self._create(NO_TOKEN))  # a new state file
        else:
            _record_rollback(connection)
            self._replace(connection, self._create(os.urandom(TOKEN_BYTES)))

    def require_mark(self, connection: sqlite3.Connection) -> None:
        """Store that a new mark is due. Call this in the transaction of an answer or a withdrawal."""
        connection.execute("UPDATE file SET mark_due = 1")

    def is_marked(self, connection: sqlite3.Connection) -> bool:
        """Return whether the mark is newer than every answer."""
        (marked,) = connection.execute("SELECT mark_due = 0 AND pending_token IS NULL FROM file").fetchone()
        return bool(marked)

    def prepare(self, connection: sqlite3.Connection) -> None:
        """Create the next mark file. Call this in a transaction that is durable before the one of `publish` begins."""
        self.verify(connection)
        if not self.is_marked(connection):
            connection.execute(
                "UPDATE file SET pending_token = ?, pending_inode = ?, mark_due = 0",
                self._create(os.urandom(TOKEN_BYTES)),
            )

    def publish(self, connection: sqlite3.Connection) -> None:
        """Replace the mark by the file that was prepared. Call this in a transaction, before anything is sent.

        Raises StateError if that file is gone, for example because another process ended while it prepared the next.
        """
        self.verify(connection)  # an older copy may have been restored while the client was running
        pending = _Mark(*connection.execute("SELECT pending_token, pending_inode FROM file").fetchone())
        if pending == NO_MARK:
            return  # another process published it, or a rollback was detected
        if not _read(self._new_path).is_mark(pending):
            raise StateError(f"the mark file could not be replaced, because {self._new_path} was changed; try again")
        self._replace(connection, pending)

    def _create(self, token: bytes) -> _Mark:
        """Create the file that will become the mark."""
        self._new_path.unlink(missing_ok=True)
        descriptor = os.open(self._new_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, token)
            os.fsync(descriptor)
            return _Mark(token, _inode(descriptor))
        finally:
            os.close(descriptor)

    def _replace(self, connection: sqlite3.Connection, mark: _Mark) -> None:
        self._new_path.replace(self._path)
        self._confirm(connection, mark)

    def _confirm(self, connection: sqlite3.Connection, mark: _Mark) -> None:
        connection.execute(
            "UPDATE file SET mark_token = ?, mark_inode = ?, pending_token = NULL, pending_inode = NULL", mark
        )


def _read(path: Path) -> _Mark:
    """Return the mark; NO_MARK if there is no file. Raises OSError if it cannot be read now."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return NO_MARK
    try:
        return _Mark(os.read(descriptor, TOKEN_BYTES + 1), _inode(descriptor))  # a longer content is another token
    finally:
        os.close(descriptor)


def _inode(descriptor: int) -> str:
    """Return the inode number of a file and, if known, the generation of the inode, as in `12.3456`.

    Some file systems, such as ext4, give the number of a deleted file to the next file, with another generation.
    """
    number = os.fstat(descriptor).st_ino
    if sys.platform == "linux":
        from fcntl import ioctl

        generation = bytearray(struct.calcsize("l"))
        with suppress(OSError):
            ioctl(descriptor, _GET_GENERATION, generation)
            return f"{number}.{int.from_bytes(generation[:4], sys.byteorder)}"
    return str(number)


def _record_rollback(connection: sqlite3.Connection) -> None:
    """Silence every schedule of every device in this file for good, and every survey that has begun by now."""
    connection.execute("UPDATE file SET rollbacks = rollbacks + 1, rollback_day = NULL")
    outbox.drop_loose(connection)
    checksum.update_file(connection)
