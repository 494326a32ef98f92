"""The journal of one device: events on their way to the state file, a batch at a time."""

from __future__ import annotations

import atexit
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import date

from client_sdk import consent, events
from client_sdk.events import Named, Recorded
from client_sdk.forking import Forking, at_end_of_worker
from client_sdk.state import State, count

MOST_BUFFERED = 64
TRIM_EVERY = 64  # events, until they are counted again
LONGEST_BUFFERED = 1.0  # seconds, until the next call of any kind


class Journal(Forking):
    """Keeps events in memory for at most 64 of them or a second, then writes them in one transaction.

    They are written before an answer is made, at the exit of the interpreter and before a fork; a killed process may
    lose the last ones. With `durable` each is on the disk when `add` returns.
    """

    def __init__(
        self, state: State, device: int, durable: bool, permitted: Callable[[sqlite3.Connection], Named]
    ) -> None:
        self._state = state
        self._device = device
        self._durable = durable
        self._permitted = permitted
        self._lock = threading.Lock()
        self._buffer: list[tuple[int, Recorded]] = []  # each with how often the device had withdrawn before
        self._since = 0.0
        self._untrimmed = TRIM_EVERY
        super().__init__()

    def add(self, withdrawals: int, day: date, name: str, fields: dict[str, float | str]) -> None:
        """Takes an event with the day on which it happened; the time of day is not kept.

        withdrawals: how often the device had withdrawn when the consent was looked up under which it is recorded.
        """
        with self._lock:
            if not self._buffer:
                self._since = time.monotonic()
                at_end_of_worker(_at_exit)
                _unwritten.add(self)
            self._buffer.append((withdrawals, (day, name, fields)))
            due = self._durable or self._due()
        if due:
            self.write()

    @property
    def waits(self) -> bool:
        """Whether anything is in memory only."""
        return bool(self._buffer)

    def write_due(self) -> None:
        """Writes what has been in memory for long enough."""
        with self._lock:
            due = self._due()
        if due:
            self.write()

    def write(self) -> None:
        """Writes what is in memory."""
        with self._lock:
            if not self._buffer:
                return
            taken, self._buffer = self._buffer, []
            try:
                with self._state.transaction() as connection:
                    self._keep(connection, taken)
                _unwritten.discard(self)
            except BaseException:
                self._buffer = taken[-MOST_BUFFERED:]
                raise

    def _due(self) -> bool:
        return bool(self._buffer) and (
            len(self._buffer) >= MOST_BUFFERED or time.monotonic() - self._since > LONGEST_BUFFERED
        )

    def _keep(self, connection: sqlite3.Connection, taken: list[tuple[int, Recorded]]) -> None:
        # consent may have been withdrawn in another process, and given again
        named, withdrawals = self._permitted(connection), consent.withdrawals(connection, self._device)
        kept = [one for before, one in taken if before == withdrawals and named.event(one[1])]
        events.add(connection, self._device, kept)
        self._untrimmed += len(taken)
        if self._untrimmed >= TRIM_EVERY:
            dropped = events.trim(connection, self._device)
            if dropped:
                count(connection, self._device, "dropped: too many events", dropped)
            self._untrimmed = 0

    def clear(self) -> None:
        """Forgets what is in memory."""
        with self._lock:
            self._buffer.clear()
            _unwritten.discard(self)

    def before_fork(self) -> None:
        self.write()

    def after_fork(self) -> None:
        self._lock = threading.Lock()
        self._buffer = []
        _unwritten.discard(self)


_unwritten: set[Journal] = set()  # kept alive although the app has let go of its client


@atexit.register
def _at_exit() -> None:
    for journal in list(_unwritten):
        with suppress(Exception):  # the interpreter is going: what cannot be written is lost
            journal.write()
