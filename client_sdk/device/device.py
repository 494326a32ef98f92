"""One device in a state file: it records, answers, sends, and describes its status."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime

from hushtally.client_sdk import calls
from hushtally.client_sdk.delivery.transport import Transport
from hushtally.client_sdk.device.answering import has_work
from hushtally.client_sdk.device.file_user import FileUser, Settings
from hushtally.client_sdk.device.granting import consent_text, grant
from hushtally.client_sdk.device.journal import Entry
from hushtally.client_sdk.device.survey_status import survey_statuses
from hushtally.client_sdk.device.withdrawal import stop_sending
from hushtally.client_sdk.errors import StateError
from hushtally.client_sdk.explain.explanation import Explanation, explain_survey
from hushtally.client_sdk.explain.status import Status, SurveyStatus
from hushtally.client_sdk.randomness import Randomness
from hushtally.client_sdk.state import cohorts, consent, counters, outbox
from hushtally.client_sdk.state.consent import Receipt
from hushtally.client_sdk.state.facts import Facts
from hushtally.client_sdk.state.file import State
from hushtally.client_sdk.state.permission import NO_PERMIT, Permit
from hushtally.client_sdk.state.records import Records
from hushtally.client_sdk.state.silence import Silence
from hushtally.client_sdk.survey import Survey

logger = logging.getLogger("hushtally")

TICK_SECONDS = 30.0
REFRESH_SECONDS = 1.0  # how often `record` checks whether consent was given in another process

ROLLBACK_MESSAGE = (
    "the state file %s is not the one last written here: it was copied, restored or replaced, or its mark file was"
    " replaced or is missing. It is unknown what this device has answered, so the surveys that run now stay silent on"
    " it. Surveys that start later are answered. To start again as a new device without consent, delete the state file"
    " and its mark file"
)


class Device(FileUser):
    """The implementation of a client. Its methods raise; the client keeps failures out of the app."""

    def __init__(
        self,
        state: State,
        key: str,
        surveys: Sequence[tuple[Survey, dict[str, str]]],
        collector: str,
        transport: Transport,
        settings: Settings,
        clock: Callable[[], datetime],
        randomness: Randomness,
    ) -> None:
        self._id = state.device_number(key)
        asked = tuple(survey for survey, _ in surveys)
        given = {name: value for _, cohort in surveys for name, value in cohort.items()}
        super().__init__(state, self._id, asked, given, collector, transport, settings, clock, randomness)
        with state.snapshot() as connection:
            if not Records.read(connection, self._id).intact:
                self._permission.damaged.add(self._id)
        self._permit = NO_PERMIT
        self._store_missing_cohorts(self.refresh())
        state.add_user(self)

    def refresh(self, today: date | None = None) -> Facts:
        """Read the facts, which another process may have changed, and update the permit.

        today: by default the day by the device's clock.
        """
        today = today or self._permission.today()
        with self._state.snapshot() as connection:
            facts = Facts.read(connection, self._id)
            self._issue_permit(facts, today)
        self._warn_of_rollback(facts, today)
        return facts

    def _store_missing_cohorts(self, facts: Facts) -> None:
        """Store the app's cohorts of surveys that the customer agreed to before the app gave these cohorts."""
        if self._permit.cohorts.keys() <= facts.cohorts.keys():
            return
        # a file that another process locks is not waited for: the next client stores them
        with suppress(sqlite3.Error), self._state.briefly(), self._state.fast_transaction() as connection:
            permit = self._permission.permit(Facts.read(connection, self._id), self._permit.day)
            cohorts.store_missing(connection, self._id, permit.cohorts)

    def _issue_permit(self, facts: Facts, today: date) -> None:
        """Issue the permit that the facts allow. The file must be locked, so that no withdrawal intervenes."""
        self._refreshed_at = time.monotonic()
        self._permit = self._permission.permit(facts, today)

    def _warn_of_rollback(self, facts: Facts, today: date) -> None:
        """Log a rollback once."""
        if not self._warned_of_rollback and self._permission.rolled_back(facts, today):
            self._warned_of_rollback = True
            calls.report(logger.error, ROLLBACK_MESSAGE, self._state.path)

    def grant(self, shown: str | None) -> bool:
        """Store consent to every survey, and draw the schedules. shown: the text; by default the explanation.

        Return False if the customer agreed to a newer version of a survey. That consent stays, because consent to an
        older version would silence the newer version for good.
        """
        self._finish_withdrawals()
        now = self._clock()
        with self._state.transaction() as connection:
            records = self._sound_records(connection)
            text = (lambda _: shown) if shown else consent_text
            ceiling = self._settings.max_lifetime_epsilon
            given = self._permission.cohorts(self._surveys)
            outdated = grant(connection, records, self._surveys, text, given, now, ceiling, self._randomness)
        self.refresh()
        return not outdated

    def withdraw(self) -> bool:
        """Withdraw consent; erase everything but the decision and the ledger from memory, the file and its log.

        Return whether the write-ahead log is erased too. Raise if the file cannot be written. Until the withdrawal is
        written, the device records, answers and sends nothing.
        """
        self.stop()
        self._withdrawals.begin(self._id)
        self.journal.clear()
        self._finish_withdrawals()
        return self._state.erase()

    def stop(self) -> None:
        """Record, answer and send nothing until a withdrawal is written. Waits for nothing."""
        self._permission.withdrawing.add(self._id)
        self.delivery.cancel()
        self._permit = NO_PERMIT

    def _finish_withdrawals(self) -> None:
        """Write a withdrawal that could not be written before."""
        self._withdrawals.finish(self._withdrawn)

    def _withdrawn(self, device: int) -> None:
        self._permit = NO_PERMIT  # another thread may have issued a permit from facts that it read before
        stop_sending(self._state, device)

    def _why_stopped(self) -> str | None:
        return self._permission.stopped(self._id)

    def stop_sending(self, device: int) -> None:
        """Stop sending if this is the device, because consent was withdrawn."""
        if device == self._id:
            self.delivery.cancel()

    def permit(self) -> Permit | None:
        """Return the permit for what may be recorded now; None if nothing may be recorded."""
        if self._permission.withdrawing:
            if self._state.is_paused:
                return None
            with self._state.briefly():
                self._finish_withdrawals()
        missing = len(self._permit.surveys) < len(self._surveys)
        if missing and time.monotonic() - self._refreshed_at > REFRESH_SECONDS:
            with suppress(sqlite3.Error), self._state.briefly():
                self.refresh()
        if not self._permit.vocabulary.events:
            # delete earlier events in time also without consent
            self.journal.write_if_due(self._permission.today(), for_app=True)
        return self.known_permit()

    def known_permit(self) -> Permit | None:
        """Return the permit that was issued last; None if nothing may be recorded. Waits for nothing."""
        permit, today = self._permit, self._permission.today()
        if self._permission.withdrawing or not permit.vocabulary.events:
            return None
        # events for a survey that ended yesterday are dropped when they are written; reading the file here is too slow
        return permit if permit.day == today else replace(permit, day=today)

    def store(self, entry: Entry) -> None:
        """Store an event that the permit allows, and count the mistakes of the app."""
        self.journal.store(entry)

    def lose(self, entry: Entry) -> None:
        """Count what a re-entrant call could neither store nor defer. Waits for nothing."""
        self.journal.lose(entry)

    def tick(self, seconds: float) -> None:
        """Make the answers that are due, then send for at most `seconds`."""
        now = self._clock()
        self.answer(now)
        self.send(seconds, now)

    def answer(self, now: datetime | None = None) -> None:
        """Make the answers that are due, and delete what is no longer needed. now: by default the clock's time."""
        with self._recording_failure():
            self._answer(now or self._clock())

    def _answer(self, now: datetime) -> None:
        today = now.date()
        self._finish_withdrawals()
        self.journal.write_if_due(today)
        self._state.erase()
        self._state.mark_soon()
        if self._permission.stopped(self._id):
            return
        facts = self.refresh(today)
        surveys = [
            survey
            for survey in self._permit.surveys
            if has_work(facts, survey, today) and self._permission.cohort(facts, survey) is not None
        ]
        if surveys or facts.ended(today) or self._answering.has_unneeded_cohorts(facts, today):
            self.journal.write(today)
            with self._state.answering() if surveys else self._state.transaction() as connection:
                for failure in self._answering.answer(connection, [self._id], now):
                    raise failure
            self._state.erase()

    def status(self) -> Status:
        """Return the status, even if the device may not record or send. The status contains no recorded value."""
        with suppress(sqlite3.Error):  # a file that cannot be written can still be read
            self._finish_withdrawals()
            self.journal.write()
            self._state.erase()
        today = self._permission.today()
        with self._state.snapshot() as connection:
            records = Records.read(connection, self._id)
            self._issue_permit(records, today)  # so that `record` agrees with the status
            surveys = self._survey_statuses(records, today)
            waiting = outbox.waiting(connection, self._id)
            counted = counters.find(connection, self._id)
        self._warn_of_rollback(records, today)
        status = Status(self._last_failure, surveys, len(waiting), counted, self.delivery.last_failure(waiting))
        stopped = self._permission.stopped(self._id)
        return status.silenced(stopped) if stopped else status

    def explain(self) -> tuple[Explanation, ...]:
        """Return an explanation of every survey, with its status."""
        stopped = self._permission.stopped(self._id)
        with self._state.snapshot() as connection:
            statuses = self._survey_statuses(Records.read(connection, self._id), self._permission.today())
        return tuple(
            explain_survey(survey, status, stopped=stopped)
            for survey, status in zip(self._surveys, statuses, strict=True)
        )

    def receipts(self) -> tuple[Receipt, ...]:
        """Return the customer's last decision about each survey."""
        with self._state.lock() as connection:
            found = (consent.receipt(connection, self._id, survey) for survey in self._surveys)
            return tuple(receipt for receipt in found if receipt)

    def _sound_records(self, connection: sqlite3.Connection) -> Records:
        """Return the device's records. Raises StateError if they are damaged."""
        records = Records.read(connection, self._id)
        if not records.intact:
            self._permission.damaged.add(self._id)
            raise StateError(Silence.DAMAGED)
        return records

    def _survey_statuses(self, records: Records, today: date) -> tuple[SurveyStatus, ...]:
        ceiling = self._settings.max_lifetime_epsilon
        return survey_statuses(records, self._surveys, self._permission, ceiling, today)
