"""Vacuum: rebuilds the database file.

SQLite places new rows on a page in the order of their arrival. After a rebuild they lie in the order of their keys.
"""

from __future__ import annotations

import sqlite3
from time import monotonic

BYTES_PER_CHANGE = 64  # bytes, about, that the change of one row writes
WRITTEN_SHARE = 8  # a rebuild is due when an eighth of the file was written
SMALL_FILE = 2**20  # bytes; a file up to this size is rebuilt after any change, because that takes only milliseconds
INTERVAL = 3_600.0  # seconds after which a rebuild is due for fewer changes
RETRY = 300.0  # seconds between attempts after a failure, because a failed attempt can take longer than counting


class Vacuum:
    """Decides when the file of a connection is rebuilt, and rebuilds it.

    The first rebuild of a connection is always due, because earlier changes are not known.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._rebuilt_at = -INTERVAL
        self._rebuilt_changes: int | None = None  # the connection's count of changes at the last rebuild
        self._failed: tuple[float, str] | None = None

    @property
    def pending(self) -> bool:
        """Whether there are changes since the last rebuild."""
        return self._connection.total_changes != self._rebuilt_changes

    @property
    def due(self) -> bool:
        """Whether a rebuild is due; for RETRY seconds after a failure, raises the same sqlite3.Error again."""
        if not self.pending:
            return False
        if self._failed is not None and monotonic() < self._failed[0] + RETRY:
            raise sqlite3.OperationalError(self._failed[1])
        if self._rebuilt_changes is None or monotonic() >= self._rebuilt_at + INTERVAL:
            return True
        (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
        (size,) = self._connection.execute("PRAGMA page_size").fetchone()
        bytes_now = int(pages) * int(size)
        changes = self._connection.total_changes - self._rebuilt_changes
        return bytes_now <= SMALL_FILE or WRITTEN_SHARE * BYTES_PER_CHANGE * changes >= bytes_now

    def run(self) -> bool:
        """Rebuilds the file; False if another program is writing. A sqlite3.Error leaves the file unchanged."""
        changes = self._connection.total_changes
        try:
            self._connection.execute("VACUUM")
        except sqlite3.Error as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                return False
            self._failed = monotonic(), str(error)
            raise
        self._rebuilt_at, self._rebuilt_changes, self._failed = monotonic(), changes, None
        return True
