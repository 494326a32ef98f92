"""The journal of one device: events on their way to the state file, a batch at a time."""

from __future__ import annotations

import atexit
import sqlite3
import threading
import time
from collections import Counter
from contextlib import nullcontext, suppress
from datetime import date

from hushtally.client_sdk.forking import Forking, at_end_of_worker
from hushtally.client_sdk.state import counters, events
from hushtally.client_sdk.state.counters import Fate
from hushtally.client_sdk.state.events import Recorded
from hushtally.client_sdk.state.facts import Facts
from hushtally.client_sdk.state.file import State, StateBusyError
from hushtally.client_sdk.state.permission import Permission, Permit

MOST_BUFFERED = 64
TRIM_EVERY = 64  # events, until they are counted again
LONGEST_BUFFERED = 1.0  # seconds, until the next call of any kind


class Journal(Forking):
    """Keeps events in memory for at most 64 of them or a second, then writes them in one transaction.

    They are written before an answer is made, at the exit of the interpreter and before a fork; a killed process may
    lose the last ones. With `durable` each is on the disk when `add` returns. Where the file cannot be written, the
    last 64 wait until it can; of those that go before, their number is kept.
    """

    def __init__(self, state: State, device: int, durable: bool, permission: Permission) -> None:
        self._state = state
        self._device = device
        self._durable = durable
        self._permission = permission
        self._lock = threading.Lock()
        self._buffer: list[tuple[int, Recorded]] = []  # each with how often the device had withdrawn before
        self._dropped: Counter[tuple[int, Fate]] = Counter()
        self._since = 0.0
        self._untrimmed = TRIM_EVERY
        self._pruned_on: date | None = None
        super().__init__()

    def add(self, withdrawals: int, day: date, name: str, fields: dict[str, float | str]) -> None:
        """Takes an event with the day on which it happened; the time of day is not kept.

        withdrawals: how often the device had withdrawn when the consent was looked up under which it is recorded.
        """
        with self._lock:
            if not self._buffer:
                self._begin()
            self._buffer.append((withdrawals, (day, name, fields)))
        if self._durable or self._due():
            self._write_for_app(day)

    def drop(self, withdrawals: int, day: date, why: Fate) -> None:
        """Counts what is not kept, on a day."""
        with self._lock:
            self._begin()
            self._dropped[withdrawals, why] += 1
        if self._due():
            self._write_for_app(day)

    @property
    def waits(self) -> bool:
        """Whether anything is in memory only."""
        return bool(self._buffer or self._dropped)

    def write_due(self, today: date, *, for_app: bool = False) -> None:
        """Writes what has been in memory for long enough; once a day also deletes what may be kept no longer.

        for_app: an app's thread waits for it, for a moment only.
        """
        if self._due() or self._pruned_on != today:
            if for_app:
                self._write_for_app(today)
            else:
                self.write(today)

    def write(self, today: date | None = None, *, brief: bool = False) -> None:
        """Writes what is in memory, and once a day deletes what may be kept no longer; `brief`: see `State.briefly`.

        today: by default the day by the device's clock.
        """
        today = today or self._permission.today()
        taken: list[tuple[int, Recorded]] = []
        dropped: Counter[tuple[int, Fate]] = Counter()
        try:
            with self._state.briefly() if brief else nullcontext(), self._state.lock() as connection:
                stale = self._pruned_on != today and self._outdated(today)
                if self.waits or stale:  # known only here: what another thread has taken may yet come back
                    with self._state.transaction() as connection:
                        with self._lock:  # for this moment alone: others go on recording
                            taken, self._buffer = self._buffer, []
                            dropped, self._dropped = self._dropped, Counter()
                        facts = Facts.read(connection, self._device)
                        self._keep(connection, self._permission.permit(facts, today), taken, dropped)
                        if stale:
                            days_needed = self._permission.days_needed(facts, today)
                            events.prune(connection, self._device, today, days_needed)
                self._pruned_on = today
        except BaseException:
            with self._lock:
                self._buffer[:0] = taken
                self._dropped.update(dropped)
                surplus = max(0, len(self._buffer) - MOST_BUFFERED)
                self._dropped.update((withdrawals, Fate.NOT_WRITTEN) for withdrawals, _ in self._buffer[:surplus])
                del self._buffer[:surplus]
            raise
        with self._lock:
            if not self.waits:
                _unwritten.discard(self)

    def _begin(self) -> None:
        if not self.waits:
            self._since = time.monotonic()
            at_end_of_worker(_at_exit)
            _unwritten.add(self)

    def _due(self) -> bool:
        # in the order of what it costs to find out
        return len(self._buffer) >= MOST_BUFFERED or (time.monotonic() - self._since > LONGEST_BUFFERED and self.waits)

    def _write_for_app(self, today: date) -> None:
        try:
            self.write(today, brief=True)
        except sqlite3.OperationalError as error:
            if (self._durable and self.waits) or not _held_by_others(error):
                raise  # else nothing is lost: it is in memory, and written with a later call

    def _keep(
        self,
        connection: sqlite3.Connection,
        now: Permit,
        taken: list[tuple[int, Recorded]],
        dropped: Counter[tuple[int, Fate]],
    ) -> None:
        # consent may have been withdrawn in another process, and given again
        kept = [one for before, one in taken if before == now.withdrawals and now.named.event(one[1])]
        events.add(connection, self._device, kept, now.named)
        for (before, why), times in dropped.items():
            if before == now.withdrawals and now.named.events:
                counters.add(connection, self._device, why, times)
        self._untrimmed += len(taken)
        if self._untrimmed >= TRIM_EVERY:
            trimmed = events.trim(connection, self._device)
            if trimmed:
                counters.add(connection, self._device, Fate.TOO_MANY_EVENTS, trimmed)
            self._untrimmed = 0

    def _outdated(self, today: date) -> bool:
        with self._state.snapshot() as connection:
            days_needed = self._permission.days_needed(Facts.read(connection, self._device), today)
            return bool(events.outdated(connection, self._device, today, days_needed))

    def clear(self) -> None:
        """Forgets what is in memory."""
        with self._lock:
            self._buffer.clear()
            self._dropped.clear()
            _unwritten.discard(self)

    def before_fork(self) -> None:
        self.write(brief=True)

    def after_fork(self) -> None:
        self._lock = threading.Lock()
        self._buffer = []
        self._dropped = Counter()
        _unwritten.discard(self)


def _held_by_others(error: sqlite3.OperationalError) -> bool:
    """Whether the file was only busy, with another process or thread of this one."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, StateBusyError) or (code is not None and code & 0xFF == sqlite3.SQLITE_BUSY)


_unwritten: set[Journal] = set()  # kept alive although the app has let go of its client


@atexit.register
def _at_exit() -> None:
    for journal in list(_unwritten):
        with suppress(Exception):  # the interpreter is going: what cannot be written soon is lost
            journal.write(brief=True)
