"""The journal: a buffer of events of one device or of many, written to the state file in batches."""

from __future__ import annotations

import atexit
import os
import sqlite3
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import date
from functools import partial
from typing import NamedTuple

from hushtally.client_sdk import calls
from hushtally.client_sdk.forking import Forking, at_end_of_worker, ends_without_notice
from hushtally.client_sdk.state import cohorts, counters, events
from hushtally.client_sdk.state.counters import Fate
from hushtally.client_sdk.state.events import Recorded
from hushtally.client_sdk.state.facts import Facts
from hushtally.client_sdk.state.file import State, StateBusyError
from hushtally.client_sdk.state.permission import Permission, Permit
from hushtally.client_sdk.state.records import Records

MAX_BUFFERED = 64  # events in memory
MAX_BUFFERED_SECONDS = 1.0  # after this time, the next call of any kind writes the buffer
END_SECONDS = 2.0  # how long the end of a process waits for other threads and processes, as long as `close`
TRIM_EVERY = 64  # events between two checks of the limit on events of one name


class Entry(NamedTuple):
    """What one call of `record` stores: an event, or None if it is not stored, and what is counted.

    The fields have passed the checks of the permit.
    """

    permit: Permit
    event: str
    fields: dict[str, float | str] | None
    mistakes: tuple[Fate, ...]


class Journal(Forking):
    """Buffers at most 64 events, for about a second, then writes them in one transaction.

    The buffer is also written before an answer, before a fork, and when the interpreter exits. If the process is
    killed, the buffer may be lost. With `durable`, every event is on the disk when `add` returns. In a process that
    ends without notice, every event is in the file when `add` returns, and only a power failure can undo that.

    If the file cannot be written, the last 64 events stay in the buffer. Earlier events are dropped and counted.
    """

    def __init__(self, state: State, device: int | None, durable: bool, permission: Permission) -> None:
        """device: the only device, whose checksum was verified; None for any device of the file."""
        self._state = state
        self._device = device
        self._durable = durable
        self._permission = permission
        self._lock = threading.Lock()
        # the permit names the device and the number of withdrawals before the event
        self._buffer: list[tuple[Permit, Recorded]] = []
        self._dropped: Counter[tuple[int, int, Fate]] = Counter()
        self._lost: deque[tuple[int, int, Fate]] = deque()  # what is not counted in `_dropped` yet
        self._buffered_since = 0.0
        self._untrimmed: Counter[int] = Counter() if device is None else Counter({device: TRIM_EVERY})
        self._pruned_on: date | None = None
        super().__init__()

    def store(self, entry: Entry) -> None:
        """Add an event, and count the mistakes of the app."""
        for fate in entry.mistakes:
            self.drop(entry.permit, fate)
        if entry.fields is not None:
            self.add(entry.permit, entry.event, entry.fields)

    def add(self, permit: Permit, name: str, fields: dict[str, float | str]) -> None:
        """Add an event with the day on which it happened; the time of day is not stored."""
        with self._lock:
            if not self._buffer:
                self._begin()
            self._buffer.append((permit, (permit.day, name, fields)))
        if self._durable or self._is_due() or _ends_unnoticed():
            self._write_for_app(permit.day)

    def drop(self, permit: Permit, fate: Fate) -> None:
        """Count an event or a field that is not stored."""
        with self._lock:
            self._begin()
            self._dropped[permit.device, permit.withdrawals, fate] += 1
        if self._is_due():
            self._write_for_app(permit.day)

    def lose(self, entry: Entry) -> None:
        """Count what a re-entrant call can neither store nor defer; such a call must not wait for a lock."""
        permit = entry.permit
        for fate in entry.mistakes if entry.fields is None else (*entry.mistakes, Fate.NOT_WRITTEN):
            self._lost.append((permit.device, permit.withdrawals, fate))

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
        taken: list[tuple[Permit, Recorded]] = []
        dropped: Counter[tuple[int, int, Fate]] = Counter()
        try:
            with self._state.briefly() if brief else nullcontext(), self._state.lock():
                # checked under the lock: another thread may have taken events, failed, and put them back
                if self.has_unwritten:
                    with self._transaction() as connection:
                        with self._lock:  # only for this moment: other threads continue to record
                            while self._lost:
                                self._dropped[self._lost.popleft()] += 1
                            taken, self._buffer = self._buffer, []
                            dropped, self._dropped = self._dropped, Counter()
                        self._store(connection, today, taken, dropped)
                    taken, dropped = [], Counter()
                if self._device is not None and self._pruned_on != today:
                    prune(self._state, self._permission, [self._device], today)
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
        today: date,
        taken: list[tuple[Permit, Recorded]],
        dropped: Counter[tuple[int, int, Fate]],
    ) -> None:
        """Write what the permits allow now. Another process may have stored a withdrawal, and new consent after it."""
        touched = {issued.device for issued, _ in taken} | {device for device, _, _ in dropped}
        several = self._facts(connection, touched)
        permits = {device: self._permission.permit(facts, today) for device, facts in several.items()}
        recorded, given = [], dict[int, Mapping[str, str]]()
        for issued, event in taken:
            permit = permits.get(issued.device)
            if permit is not None and issued.withdrawals == permit.withdrawals and permit.vocabulary.event(event[1]):
                recorded.append((permit.device, event, permit.vocabulary))
                given[permit.device] = self._permission.cohorts(permit.surveys, issued.cohorts)
        events.add_all(connection, recorded)
        counts: Counter[tuple[int, Fate]] = Counter()
        counts += cohorts.store_all(connection, [(one, several[one].cohorts, new) for one, new in given.items()])
        for (device, before, fate), times in dropped.items():
            permit = permits.get(device)
            if permit is not None and before == permit.withdrawals and permit.vocabulary.events:
                counts[device, fate] += times
        self._untrimmed.update(issued.device for issued, _ in taken)
        if sum(self._untrimmed.values()) >= TRIM_EVERY:
            counts.update(events.trim(connection, self._untrimmed))
            self._untrimmed.clear()
        counters.add_all(connection, counts)

    def _facts(self, connection: sqlite3.Connection, devices: Iterable[int]) -> Mapping[int, Facts]:
        """Return the facts of sound devices."""
        if self._device is not None:
            return Facts.read_all(connection, list(devices))
        several = Records.read_all(connection, sorted(devices))
        self._permission.damaged.update(device for device, one in several.items() if not one.intact)
        return {device: one for device, one in several.items() if one.intact}

    def _put_back(self, taken: list[tuple[Permit, Recorded]], dropped: Counter[tuple[int, int, Fate]]) -> None:
        """Put events and counts that could not be written back; drop and count the events that no longer fit."""
        with self._lock:
            self._buffer[:0] = taken
            self._dropped.update(dropped)
            surplus = max(0, len(self._buffer) - MAX_BUFFERED)
            self._dropped.update(
                (permit.device, permit.withdrawals, Fate.NOT_WRITTEN) for permit, _ in self._buffer[:surplus]
            )
            del self._buffer[:surplus]

    def clear(self) -> None:
        """Discard everything that is only in memory."""
        with self._lock:
            self._buffer.clear()
            self._dropped.clear()
            self._lost.clear()
            _unwritten.discard(self)

    def forget(self, device: int) -> None:
        """Discard what is only in memory of one device."""
        with self._lock:
            self._buffer = [one for one in self._buffer if one[0].device != device]
            self._dropped = Counter({one: times for one, times in self._dropped.items() if one[0] != device})

    def before_fork(self) -> None:
        self.write(brief=True)

    def after_fork(self) -> None:
        self._lock = threading.Lock()
        self._buffer = []
        self._dropped = Counter()
        self._lost = deque()
        _unwritten.discard(self)


def prune(state: State, permission: Permission, devices: Sequence[int], today: date) -> None:
    """Delete the events of these devices that no survey needs any more; write only if there are some."""
    with state.snapshot() as connection:
        found = events.expired(connection, _days_needed(connection, permission, devices, today), today)
    if found:
        with state.transaction() as connection:
            events.prune(connection, _days_needed(connection, permission, devices, today), today)


def _days_needed(
    connection: sqlite3.Connection, permission: Permission, devices: Sequence[int], today: date
) -> dict[int, Callable[[str], int]]:
    several = Facts.read_all(connection, devices)
    return {device: permission.days_needed(facts, today) for device, facts in several.items() if facts.intact}


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
