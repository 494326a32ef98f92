"""Vacuum: SQLite places new rows on a page as they arrive; in a file that it rebuilt they lie by their keys."""

from __future__ import annotations

import sqlite3
from time import monotonic

ROW = 64  # bytes, about, that a change of one row writes
SHARE = 8  # a file is rebuilt once an eighth of it was written
EVERY = 3_600.0  # seconds after which less is enough
RETRY = 300.0  # seconds: to try each time that the log is emptied could take longer than to count


class Vacuum:
    """When the file of a connection was rebuilt, and whether it is due again; what was before is not known."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._at = -EVERY
        self._rows: int | None = None  # changed by then, by this connection
        self._failed: tuple[float, str] | None = None

    @property
    def pending(self) -> bool:
        """Whether something was written since the last time."""
        return self._connection.total_changes != self._rows

    @property
    def due(self) -> bool:
        """Whether it should be rebuilt now; sqlite3.Error, as it was, soon after it failed."""
        if not self.pending:
            return False
        if self._failed is not None and monotonic() < self._failed[0] + RETRY:
            raise sqlite3.OperationalError(self._failed[1])
        if self._rows is None or monotonic() >= self._at + EVERY:
            return True
        (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
        (size,) = self._connection.execute("PRAGMA page_size").fetchone()
        return SHARE * ROW * (self._connection.total_changes - self._rows) >= int(pages) * int(size)

    def run(self) -> bool:
        """Rebuilds; False while another program writes. sqlite3.Error where it fails, having changed nothing."""
        rows = self._connection.total_changes
        try:
            self._connection.execute("VACUUM")
        except sqlite3.Error as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                return False
            self._failed = monotonic(), str(error)
            raise
        self._at, self._rows, self._failed = monotonic(), rows, None
        return True
