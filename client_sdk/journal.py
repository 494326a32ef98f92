"""The journal of one device: events on their way to the state file, a batch at a time."""

from __future__ import annotations

import atexit
import json
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from weakref import WeakSet

from client_sdk import events
from client_sdk.forking import Forking
from client_sdk.state import State, count

MOST_BUFFERED = 64
LONGEST_BUFFERED = 1.0  # seconds, until the next call of any kind


class Journal(Forking):
    """Keeps events in memory for at most 64 of them or a second, then writes them in one transaction.

    They are written before an answer is made, at the exit of the interpreter and before a fork; a killed process may
    lose the last ones. With `durable` each is on the disk when `add` returns.
    """

    def __init__(
        self, state: State, device: int, durable: bool, permitted: Callable[[sqlite3.Connection], bool]
    ) -> None:
        self._state = state
        self._device = device
        self._durable = durable
        self._permitted = permitted
        self._lock = threading.Lock()
        self._buffer: list[tuple[int, int, str, str]] = []
        self._since = 0.0
        super().__init__()
        _journals.add(self)

    def add(self, day: date, name: str, fields: dict[str, float | str]) -> None:
        """Takes an event with the day on which it happened; the time of day is not kept."""
        with self._lock:
            if not self._buffer:
                self._since = time.monotonic()
            self._buffer.append((self._device, day.toordinal(), name, json.dumps(fields)))
            full = len(self._buffer) >= MOST_BUFFERED or time.monotonic() - self._since > LONGEST_BUFFERED
        if self._durable or full:
            self.write()

    def write(self) -> None:
        """Writes what is in memory."""
        with self._lock:
            if not self._buffer:
                return
            taken, self._buffer = self._buffer, []
            try:
                with self._state.transaction() as connection:
                    if not self._permitted(connection):
                        return  # consent was withdrawn in another process
                    dropped = events.add(connection, self._device, taken)
                    if dropped:
                        count(connection, self._device, "dropped: too many events", dropped)
            except BaseException:
                self._buffer = taken[-MOST_BUFFERED:]
                raise

    def clear(self) -> None:
        """Forgets what is in memory."""
        with self._lock:
            self._buffer.clear()

    def before_fork(self) -> None:
        self.write()

    def after_fork(self) -> None:
        self._lock = threading.Lock()
        self._buffer = []


_journals: WeakSet[Journal] = WeakSet()


@atexit.register
def _at_exit() -> None:
    for journal in list(_journals):
        with suppress(Exception):  # the interpreter is going: what cannot be written is lost
            journal.write()
