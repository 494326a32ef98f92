"""All devices of one state file: each records, answers and sends as a device of its own does, but together."""

from __future__ import annotations

import logging
import math
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime

from hushtally.client_sdk import calls
from hushtally.client_sdk.delivery.transport import Transport
from hushtally.client_sdk.device.device import REFRESH_SECONDS, ROLLBACK_MESSAGE
from hushtally.client_sdk.device.file_user import FileUser, Settings
from hushtally.client_sdk.device.granting import consent_text, grant
from hushtally.client_sdk.device.journal import Entry, prune
from hushtally.client_sdk.device.survey_status import survey_statuses
from hushtally.client_sdk.device.withdrawal import stop_sending
from hushtally.client_sdk.errors import StateError
from hushtally.client_sdk.explain.explanation import Explanation, explain_survey
from hushtally.client_sdk.explain.status import Status, SurveyStatus
from hushtally.client_sdk.randomness import Randomness
from hushtally.client_sdk.state import consent, counters, events, outbox
from hushtally.client_sdk.state.consent import Receipt
from hushtally.client_sdk.state.facts import Facts
from hushtally.client_sdk.state.file import State, StateBusyError
from hushtally.client_sdk.state.opt_out import opt_out_reason
from hushtally.client_sdk.state.permission import Permit
from hushtally.client_sdk.state.records import Records
from hushtally.client_sdk.state.silence import Silence
from hushtally.client_sdk.state.work import any_rolled_back, devices_with_work
from hushtally.client_sdk.survey import Survey

logger = logging.getLogger("hushtally")

TOGETHER = 250  # devices that one transaction answers; the app's threads wait that long
PRUNED_TOGETHER = 1_000  # devices whose expired events one transaction deletes

MAX_KNOWN_PERMITS = 1_000


class Devices(FileUser):
    """The implementation of a gateway. Its methods raise; the gateway keeps failures out of the app."""

    def __init__(
        self,
        state: State,
        surveys: Sequence[Survey],
        collector: str,
        transport: Transport,
        settings: Settings,
        clock: Callable[[], datetime],
        randomness: Randomness,
    ) -> None:
        super().__init__(state, None, surveys, {}, collector, transport, settings, clock, randomness)
        self._pruned_on: date | None = None
        self.known_permits: dict[str, tuple[float, Permit]] = {}  # by key, with the time when they were issued
        state.add_user(self)

    def device(self, key: str, cohort: Mapping[str, str] | None) -> KeyedDevice:
        """Return one of the devices. The file is read with the first use."""
        return KeyedDevice(self, key, cohort)

    def tick(self, seconds: float) -> None:
        """Make the answers of all devices that are due, then send for at most `seconds`."""
        now = self._clock()
        failures = self.answer(now)
        self.send(seconds, now)
        if failures:
            raise failures[0]

    def answer(self, now: datetime | None = None) -> list[Exception]:
        """Make the answers that are due, and delete what is no longer needed; return the failures of single devices."""
        with self._recording_failure():
            return self._answer(now or self._clock())

    def _answer(self, now: datetime) -> list[Exception]:
        today = now.date()
        self._finish_withdrawals()
        self.journal.write_if_due(today)
        self._prune(today)
        self._state.erase()
        self._state.mark_soon()
        failures: list[Exception] = []
        if opt_out_reason():
            return failures
        after = 0
        while devices := self._next_devices(today, after):
            after = devices[-1]
            if self.journal.has_unwritten:
                self.journal.write(today)
            self._finish_withdrawals()
            with self._state.answering() as connection:
                failures += self._answering.answer(connection, devices, now)
            time.sleep(0)  # let other threads use the file
        self._state.erase()
        return failures

    def _next_devices(self, today: date, after: int) -> list[int]:
        with self._state.snapshot() as connection:
            if not self._warned_of_rollback and any_rolled_back(connection, self._surveys, today):
                self._warned_of_rollback = True
                calls.report(logger.error, ROLLBACK_MESSAGE, self._state.path)
            keep = self._settings.keep_consent
            return devices_with_work(connection, self._surveys, keep, today, after, TOGETHER)

    def _prune(self, today: date) -> None:
        """Delete the events that no survey needs any more, once a day."""
        if self._pruned_on == today:
            return
        after = 0
        while True:
            with self._state.lock() as connection:
                devices = events.with_events(connection, after, PRUNED_TOGETHER)
            if not devices:
                break
            prune(self._state, self._permission, devices, today)
            after = devices[-1]
            time.sleep(0)
        self._pruned_on = today

    def remember(self, key: str, permit: Permit) -> None:
        """Keep the permit of a device for calls while the file is in use."""
        self.known_permits.pop(key, None)
        if permit.vocabulary.events:
            if len(self.known_permits) >= MAX_KNOWN_PERMITS:
                self.known_permits.clear()
            self.known_permits[key] = time.monotonic(), permit

    def recent_permit(self, key: str, today: date) -> Permit | None:
        """Return the permit that was issued within a second; what it permits is checked again before it is written."""
        issued, permit = self.known_permits.get(key, (-math.inf, None))
        fresh = permit is not None and permit.day == today and time.monotonic() - issued < REFRESH_SECONDS
        return permit if fresh else None

    def stop(self, key: str) -> None:
        """Stop the device until a withdrawal is written, if its number is known. Waits for nothing."""
        known = self.known_permits.pop(key, None)
        if known is not None:
            self._permission.withdrawing.add(known[1].device)

    def finish_withdrawals_briefly(self) -> None:
        """Retry withdrawals that could not be written, on an app's thread."""
        if self._permission.withdrawing and not self._state.is_paused:
            with self._state.briefly():
                self._finish_withdrawals()

    def withdraw(self, key: str) -> bool:
        """See `Device.withdraw`."""
        self.known_permits.pop(key, None)
        device = self._state.device_number(key)
        self._withdrawals.begin(device)
        self.journal.forget(device)
        self._finish_withdrawals()
        return self._state.erase()

    def _finish_withdrawals(self) -> None:
        self._withdrawals.finish(lambda device: stop_sending(self._state, device))

    def _why_stopped(self) -> str | None:
        return opt_out_reason()  # a damaged device is silent on its own

    def stop_sending(self, device: int) -> None:
        """Stop sending a batch that was erased, because the consent of its only device was withdrawn."""
        self.delivery.cancel_erased()

    def counters(self) -> dict[str, int]:
        """Return the counters of all devices together, by name."""
        with self._state.lock() as connection:
            return counters.find_sums(connection)


class KeyedDevice:
    """One device of a state file, named by its key. The file is not touched before it is used."""

    def __init__(self, devices: Devices, key: str, cohort: Mapping[str, str] | None) -> None:
        self._devices = devices
        self._key = key
        self._cohort = cohort

    def grant(self, shown: str | None) -> bool:
        """See `Device.grant`."""
        one = self._devices
        one._finish_withdrawals()
        now = one._clock()
        text = (lambda _: shown) if shown else consent_text
        with one._state.transaction() as connection:
            device = one._state.find_device(connection, self._key)
            if device is None:
                device = one._state.add_device(connection, self._key)
                records = Records.of_new_device(connection, device)
            else:
                records = Records.read(connection, device)
            if not records.intact:
                one._permission.damaged.add(device)
                raise StateError(Silence.DAMAGED)
            given, ceiling = self._cohort or {}, one._settings.max_lifetime_epsilon
            outdated = grant(connection, records, one._surveys, text, given, now, ceiling, one._randomness)
        one.remember(self._key, one._permission.permit(records, now.date(), self._cohort))
        return not outdated

    def permit(self) -> Permit | None:
        """Return the permit for what may be recorded now; None if nothing may be recorded."""
        one = self._devices
        one.finish_withdrawals_briefly()
        today = one._clock().date()
        recent = one.recent_permit(self._key, today)
        if recent is not None and (self._cohort is None or recent.cohorts == self._cohort):
            return recent
        try:
            with one._state.snapshot(brief=True) as connection:
                device = one._state.find_device(connection, self._key)
                if device is None:
                    return None
                permit = one._permission.permit(Facts.read(connection, device), today, self._cohort)
        except StateBusyError:  # the permit is checked again when the event is written
            known = one.known_permits.get(self._key)
            if known is None:
                raise
            return replace(known[1], day=today)
        one.remember(self._key, permit)
        return permit if permit.vocabulary.events else None

    def store(self, entry: Entry) -> None:
        """Store an event that the permit allows, and count the mistakes of the app."""
        self._devices.journal.store(entry)

    def withdraw(self) -> bool:
        """See `Device.withdraw`."""
        return self._devices.withdraw(self._key)

    def status(self) -> Status:
        """Return the status, even if the device may not record or send. The status contains no recorded value."""
        one = self._devices
        with suppress(sqlite3.Error):  # a file that cannot be written can still be read
            one._finish_withdrawals()
            one.journal.write()
            one._state.erase()
        with one._state.snapshot() as connection:
            records = self._read(connection)
            waiting = outbox.waiting(connection, records.device)
            counted = counters.find(connection, records.device)
        surveys = self._statuses(records)
        status = Status(one._last_failure, surveys, len(waiting), counted, one.delivery.last_failure(waiting))
        stopped = one._permission.stopped(records.device)
        return status.silenced(stopped) if stopped else status

    def _read(self, connection: sqlite3.Connection) -> Records:
        one = self._devices
        device = one._state.find_device(connection, self._key)
        if device is None:
            one._state.verify_device_list(connection)
            return Records.of_unknown_device()
        records = Records.read(connection, device)
        if not records.intact:
            one._permission.damaged.add(records.device)
        return records

    def _statuses(self, records: Records) -> tuple[SurveyStatus, ...]:
        one = self._devices
        return survey_statuses(
            records, one._surveys, one._permission, one._settings.max_lifetime_epsilon, one._permission.today()
        )

    def explain(self) -> tuple[Explanation, ...]:
        """Return an explanation of every survey, with its status."""
        one = self._devices
        with one._state.snapshot() as connection:
            records = self._read(connection)
        stopped = one._permission.stopped(records.device)
        return tuple(
            explain_survey(survey, status, stopped=stopped)
            for survey, status in zip(one._surveys, self._statuses(records), strict=True)
        )

    def receipts(self) -> tuple[Receipt, ...]:
        """Return the customer's last decision about each survey."""
        one = self._devices
        with one._state.lock() as connection:
            device = one._state.find_device(connection, self._key)
            if device is None:
                return ()
            found = (consent.receipt(connection, device, survey) for survey in one._surveys)
            return tuple(receipt for receipt in found if receipt)
