"""Withdrawals of consent: written at once if possible, otherwise retried until they are in the file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Protocol, cast

from hushtally.client_sdk.errors import StateError
from hushtally.client_sdk.state import consent, decision
from hushtally.client_sdk.state.file import State
from hushtally.client_sdk.state.permission import Permission
from hushtally.client_sdk.state.records import Records
from hushtally.client_sdk.survey import Survey


class Stoppable(Protocol):
    """A user of a state file that sends reports."""

    def stop_sending(self, device: int) -> None:
        """Stop sending the reports of a device whose consent was withdrawn."""


def stop_sending(state: State, device: int) -> None:
    """Let all users of the file in this process stop sending the reports of a device."""
    for user in state.users:
        cast(Stoppable, user).stop_sending(device)


class Withdrawals:
    """The withdrawals of an app that are not in the state file yet.

    Until its withdrawal is written, a device records, answers and sends nothing.
    """

    def __init__(
        self, state: State, surveys: Sequence[Survey], permission: Permission, clock: Callable[[], datetime]
    ) -> None:
        self._state = state
        self._surveys = surveys
        self._permission = permission
        self._clock = clock
        # by device, the number of withdrawals in the file before; None if it is unknown
        self._before: dict[int, int | None] = {}

    def begin(self, device: int) -> None:
        """Stop the device at once."""
        self._before[device] = None
        self._permission.withdrawing.add(device)
        with suppress(Exception), self._state.lock() as connection:  # if unknown, the withdrawal is written in any case
            self._before[device] = consent.withdrawals(connection, device)

    def finish(self, written: Callable[[int], None]) -> None:
        """Write the withdrawals that are not written yet. written: called for each device, while the file is locked."""
        if not self._permission.withdrawing:
            return
        with self._state.lock():
            for device in list(self._permission.withdrawing):
                self._write(device)
                written(device)
                self._permission.withdrawing.discard(device)
                self._before.pop(device, None)
            with suppress(OSError, StateError, sqlite3.Error):  # a later call writes the mark
                self._state.mark()
        self._state.erase()
        self._state.vacuum()

    def _write(self, device: int) -> None:
        before = self._before.get(device)
        with self._state.transaction() as connection:
            # another process, such as the parent of a fork, may have written the withdrawal, and the customer may have
            # given consent since
            if before is None or before == consent.withdrawals(connection, device):
                decision.withdraw(connection, Records.read(connection, device), self._surveys, self._clock())
                with suppress(OSError, StateError):  # a mark that cannot be read must not prevent the withdrawal
                    self._state.invalidate_copies(connection)
