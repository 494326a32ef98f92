"""The journal of one device: a buffer of events, written to the state file in batches."""

from __future__ import annotations

import atexit
import os
import sqlite3
import threading
import time
from collections import Counter, deque
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import date
from functools import partial

from hushtally.client_sdk import calls
from hushtally.client_sdk.forking import Forking, at_end_of_worker, ends_without_notice
from hushtally.client_sdk.state import counters, events
from hushtally.client_sdk.state.counters import Fate
from hushtally.client_sdk.state.events import Recorded
from hushtally.client_sdk.state.facts import Facts
from hushtally.client_sdk.state.file import State, StateBusyError
from hushtally.client_sdk.state.permission import Permission, Permit

MAX_BUFFERED = 64  # events in memory
MAX_BUFFERED_SECONDS = 1.0  # after this time, the next call of any kind writes the buffer
END_SECONDS = 2.0  # how long the end of a process waits for other threads and processes, as long as `close`
TRIM_EVERY = 64  # events between two checks of the limit on events of one name


class Journal(Forking):
    """Buffers at most 64 events, for about a second, then writes them in one transaction.

    The buffer is also written before an answer, before a fork, and when the interpreter exits. If the process is
    killed, the buffer may be lost. With `durable`, every event is on the disk when `add` returns. In a process that
    ends without notice, every event is in the file when `add` returns, and only a power failure can undo that.

    If the file cannot be written, the last 64 events stay in the buffer. Earlier events are dropped and counted.
    """

    def __init__(self, state: State, device: int, durable: bool, permission: Permission) -> None:
        self._state = state
        self._device = device
        self._durable = durable
        self._permission = permission
        self._lock = threading.Lock()
        # each event and each count is stored with the number of withdrawals before it
        self._buffer: list[tuple[int, Recorded]] = []
        self._dropped: Counter[tuple[int, Fate]] = Counter()
        self._lost: deque[tuple[int, Fate]] = deque()  # what is not counted in `_dropped` yet
        self._buffered_since = 0.0
        self._untrimmed = TRIM_EVERY
        self._pruned_on: date | None = None
        super().__init__()

    def add(self, withdrawals: int, day: date, name: str, fields: dict[str, float | str]) -> None:
        """Add an event with the day on which it happened; the time of day is not stored.

        withdrawals: how often the customer had withdrawn consent when the permit for the event was issued.
        """
        with self._lock:
            if not self._buffer:
                self._begin()
            self._buffer.append((withdrawals, (day, name, fields)))
        if self._durable or self._is_due() or _ends_unnoticed():
            self._write_for_app(day)

    def drop(self, withdrawals: int, day: date, fate: Fate) -> None:
        """Count an event or a field that is not stored."""
        with self._lock:
            self._begin()
            self._dropped[withdrawals, fate] += 1
        if self._is_due():
            self._write_for_app(day)

    def lose(self, withdrawals: int, fate: Fate) -> None:
        """Do the same as `drop` in a re-entrant call, which must not wait for a lock."""
        self._lost.append((withdrawals, fate))

    @property
    def has_unwritten(self) -> bool:
        """Whether an event or a count is only in memory."""
        return bool(self._buffer or self._dropped or self._lost)

    def write_if_due(self, today: date, *, for_app: bool = False) -> None:
        """Write the buffer if it is full or old; once a day, also delete expired events.

        for_app: the call runs on an app's thread, so it waits only briefly.
        """
        if self._is_due() or self._pruned_on != today:
            if for_app:
                self._write_for_app(today)
            else:
                self.write(today)

    def write(self, today: date | None = None, *, brief: bool = False) -> None:
        """Write the buffer; once a day, also delete expired events.

        today: by default the day by the device's clock. brief: see `State.briefly`.
        """
        today = today or self._permission.today()
        process = os.getpid()
        taken: list[tuple[int, Recorded]] = []
        dropped: Counter[tuple[int, Fate]] = Counter()
        try:
            with self._state.briefly() if brief else nullcontext(), self._state.lock():
                prune = self._pruned_on != today and self._has_expired(today)
                # checked under the lock: another thread may have taken events, failed, and put them back
                if self.has_unwritten or prune:
                    with self._transaction() as connection:
                        with self._lock:  # only for this moment: other threads continue to record
                            while self._lost:
                                self._dropped[self._lost.popleft()] += 1
                            taken, self._buffer = self._buffer, []
                            dropped, self._dropped = self._dropped, Counter()
                        facts = Facts.read(connection, self._device)
                        self._store(connection, self._permission.permit(facts, today), taken, dropped)
                        if prune:
                            days_needed = self._permission.days_needed(facts, today)
                            events.prune(connection, self._device, today, days_needed)
                self._pruned_on = today
        except BaseException:
            if process == os.getpid():  # a child that is forked in the middle leaves the events to its parent
                self._put_back(taken, dropped)
            raise
        with self._lock:
            if not self.has_unwritten:
                _unwritten.discard(self)

    def write_before(self, deadline: float) -> None:
        """Write the buffer as the process ends, even if the last write failed a moment ago."""
        with self._state.within(max(0.0, deadline - time.monotonic())):
            self.write()

    def _transaction(self) -> AbstractContextManager[sqlite3.Connection]:
        """Wait for the disk, unless every event has its own transaction only because the process ends unnoticed."""
        return self._state.fast_transaction() if not self._durable and _ends_unnoticed() else self._state.transaction()

    def _begin(self) -> None:
        if not self.has_unwritten:
            self._buffered_since = time.monotonic()
            at_end_of_worker(_write_all)
            _unwritten.add(self)

    def _is_due(self) -> bool:
        # the cheapest test first
        return len(self._buffer) >= MAX_BUFFERED or (
            time.monotonic() - self._buffered_since > MAX_BUFFERED_SECONDS and self.has_unwritten
        )

    def _write_for_app(self, today: date) -> None:
        try:
            self.write(today, brief=True)
        except sqlite3.OperationalError as error:
            if (self._durable and self.has_unwritten) or not _is_busy(error):
                raise  # in all other cases nothing is lost, because a later call writes the buffer

    def _store(
        self,
        connection: sqlite3.Connection,
        permit: Permit,
        taken: list[tuple[int, Recorded]],
        dropped: Counter[tuple[int, Fate]],
    ) -> None:
        """Write what the permit allows now. Another process may have stored a withdrawal, and new consent after it."""
        number, vocabulary = permit.withdrawals, permit.vocabulary
        recorded = [event for before, event in taken if before == number and vocabulary.event(event[1])]
        events.add(connection, self._device, recorded, vocabulary)
        for (before, fate), times in dropped.items():
            if before == number and vocabulary.events:
                counters.add(connection, self._device, fate, times)
        self._untrimmed += len(taken)
        if self._untrimmed >= TRIM_EVERY:
            trimmed = events.trim(connection, self._device)
            if trimmed:
                counters.add(connection, self._device, Fate.TOO_MANY_EVENTS, trimmed)
            self._untrimmed = 0

    def _put_back(self, taken: list[tuple[int, Recorded]], dropped: Counter[tuple[int, Fate]]) -> None:
        """Put events and counts that could not be written back; drop and count the events that no longer fit."""
        with self._lock:
            self._buffer[:0] = taken
            self._dropped.update(dropped)
            surplus = max(0, len(self._buffer) - MAX_BUFFERED)
            self._dropped.update((withdrawals, Fate.NOT_WRITTEN) for withdrawals, _ in self._buffer[:surplus])
            del self._buffer[:surplus]

    def _has_expired(self, today: date) -> bool:
        with self._state.snapshot() as connection:
            days_needed = self._permission.days_needed(Facts.read(connection, self._device), today)
            return bool(events.expired(connection, self._device, today, days_needed))

    def clear(self) -> None:
        """Discard everything that is only in memory."""
        with self._lock:
            self._buffer.clear()
            self._dropped.clear()
            self._lost.clear()
            _unwritten.discard(self)

    def before_fork(self) -> None:
        self.write(brief=True)

    def after_fork(self) -> None:
        self._lock = threading.Lock()
        self._buffer = []
        self._dropped = Counter()
        self._lost = deque()
        _unwritten.discard(self)


def _is_busy(error: sqlite3.OperationalError) -> bool:
    """Return whether the write failed only because another process or thread was using the file."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, StateBusyError) or (code is not None and code & 0xFF == sqlite3.SQLITE_BUSY)


_unwritten: set[Journal] = set()  # keeps a journal alive after the app has dropped its client
_exiting = False  # whether the interpreter has called the exit handlers; only finalizers record after that


def _ends_unnoticed() -> bool:
    return _exiting or ends_without_notice()


def _write_all() -> None:
    deadline = time.monotonic() + END_SECONDS
    for journal in list(_unwritten):
        with suppress(Exception):  # events that cannot be written soon are lost with the process
            calls.run(partial(journal.write_before, deadline), lambda: None)


@atexit.register
def _at_exit() -> None:
    global _exiting
    _exiting = True
    _write_all()
