"""One device in a state file: what it keeps, when it answers, and how it stands."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date, datetime

from hushtally.client_sdk.delivery.sender import Sender
from hushtally.client_sdk.delivery.transport import Transport
from hushtally.client_sdk.device import answering
from hushtally.client_sdk.device.journal import Journal
from hushtally.client_sdk.errors import StateError
from hushtally.client_sdk.explain.explanation import Explanation, explain_survey
from hushtally.client_sdk.explain.status import Status, SurveyStatus
from hushtally.client_sdk.failures import describe_failure
from hushtally.client_sdk.randomness import Randomness
from hushtally.client_sdk.state import checksum, consent, counters, erasure, ledger, outbox, schedule
from hushtally.client_sdk.state.consent import Receipt
from hushtally.client_sdk.state.counters import Fate
from hushtally.client_sdk.state.facts import Facts
from hushtally.client_sdk.state.file import State
from hushtally.client_sdk.state.permission import NOTHING, Permission, Permit
from hushtally.client_sdk.state.schedule import Schedule
from hushtally.client_sdk.state.silence import Silence
from hushtally.client_sdk.survey import Survey

logger = logging.getLogger("hushtally")


TICK_SECONDS = 30.0
LOOK_SECONDS = 1.0  # until `record` looks again whether another process was given consent

ROLLBACK_MESSAGE = (
    "the state file %s was copied, restored or replaced, or the mark beside it was touched: the surveys that run stay"
    " silent on this device, as it is not known what it answered; those that begin later are answered."
    " Nothing helps but to delete the file and its mark, which makes this a new device without consent"
)


@dataclass(frozen=True)
class Terms:
    """What the app chose: see `Client`."""

    max_lifetime_epsilon: float | None
    keep_consent: bool
    durable: bool


class Device:
    """The engine behind a client. Its methods raise; the client keeps that out of the app."""

    def __init__(
        self,
        state: State,
        key: str,
        surveys: Sequence[tuple[Survey, dict[str, str]]],
        collector: str,
        transport: Transport,
        terms: Terms,
        clock: Callable[[], datetime],
        randomness: Randomness,
    ) -> None:
        self._surveys = tuple(survey for survey, _ in surveys)
        self._state = state
        self._id = state.device(key)
        self._cohorts = {survey.digest: cohort for survey, cohort in surveys}
        self._terms = terms
        self._clock = clock
        self._randomness = randomness
        # they know what is permitted, not this device: it is in no cycle, and gone with its file when it is let go
        self._permission = Permission(self._surveys, terms.keep_consent, clock)
        self.delivery = Sender(state, self._id, self._surveys, collector, transport, randomness, self._permission)
        self.journal = Journal(state, self._id, terms.durable, self._permission)
        self._withdrawals: int | None = None  # before the one that is not written yet
        with state.snapshot() as connection:
            self._permission.damaged = not checksum.holds(connection, self._id)
        self._trouble: str | None = None
        self._warned = False  # of a file that is not the last one
        self._permit = NOTHING
        self.refresh()
        state.join(self)

    def refresh(self, today: date | None = None) -> Facts:
        """Looks again at what another process may have changed: what may be recorded.

        today: by default the day by the device's clock.
        """
        with self._state.snapshot() as connection:
            facts = Facts.read(connection, self._id)
        self._apply(facts, today or self._permission.today())
        return facts

    def _apply(self, facts: Facts, today: date) -> None:
        """Issues the permit that the facts allow; logs once that the file was found to be an older copy."""
        self._looked = time.monotonic()
        self._permit = self._permission.permit(facts, today)
        if not self._warned and self._permission.rolled_back(facts, today):
            self._warned = True
            logger.error(ROLLBACK_MESSAGE, self._state.path)

    def grant(self, shown: str | None) -> bool:
        """Notes consent to every survey, with the text that was shown or explains it, and draws the schedules.

        Not to one of which a newer version is agreed to: False. That version would end for good.
        """
        self._finish_withdrawal()
        now = self._clock()
        with self._sealed(self._state.transaction()) as connection:
            facts = Facts.read(connection, self._id)
            outdated = [survey for survey in self._surveys if facts.agrees_to_newer(survey)]
            for survey in self._surveys:
                if survey not in outdated:
                    consent.grant(connection, self._id, survey, now, shown or str(explain_survey(survey)))
                    self._take_up(connection, survey, facts.schedules.get(survey.digest), now.date())
        for survey in outdated:
            logger.warning("grant_consent: not noted for %s: this device agrees to a newer version", survey.name)
        self.refresh()
        return not outdated

    def withdraw(self) -> bool:
        """Erases all but the fact and what was spent, from memory, the file and its log; whether the log is done too.

        Where the file cannot be written this raises; until it can, nothing is recorded, answered or sent.
        """
        self._withdrawals = None
        self._permission.withdrawing = True
        self.delivery.cancel()
        self._permit = NOTHING
        self.journal.clear()
        with suppress(Exception), self._state.lock() as connection:  # where unknown, it is written in any case
            self._withdrawals = consent.withdrawals(connection, self._id)
        self._finish_withdrawal()
        return self._state.erase()

    def _finish_withdrawal(self) -> None:
        """Writes a withdrawal that could not be written before."""
        if not self._permission.withdrawing:
            return
        with self._state.lock():
            if not self._permission.withdrawing:
                return  # another thread has written it, and consent may have been given since
            with self._state.transaction() as connection:
                # or another process has, as the parent of a forked one, and consent may have been given since
                if self._withdrawals is None or self._withdrawals == consent.withdrawals(connection, self._id):
                    self._write_withdrawal(connection)
                    with suppress(OSError, StateError):  # where the mark cannot be read, it stands all the same
                        self._state.outdate_copies(connection)
            self._permission.withdrawing = False
            with suppress(OSError, StateError, sqlite3.Error):  # a later call marks it
                self._state.mark()
            for one in self._state.users:  # what other clients of this device are just sending, too
                if isinstance(one, Device) and one._id == self._id:
                    one.delivery.cancel()
        self._state.erase()
        self._state.rebuild()

    def _write_withdrawal(self, connection: sqlite3.Connection) -> None:
        sound = checksum.holds(connection, self._id)
        consent.withdraw(connection, self._id, self._surveys, self._clock())
        schedule.forget(connection, self._id)
        if sound:  # a damaged one stays so, and silent
            checksum.renew(connection, self._id)
        erasure.due(connection)

    def permit(self) -> Permit | None:
        """What may be recorded now; None where nothing may, as before consent."""
        if self._permission.withdrawing:
            if self._state.pausing:
                return None
            with self._state.briefly():
                self._finish_withdrawal()
        if len(self._permit.surveys) < len(self._surveys) and time.monotonic() - self._looked > LOOK_SECONDS:
            with suppress(sqlite3.Error), self._state.briefly():
                self.refresh()
        permit, today = self._permit, self._clock().date()
        if not permit.named.events:
            self.journal.write_due(today, for_app=True)  # what was recorded before is kept no longer than was told
            return None
        # what ended with the day before is left out when it is written: to ask the file here could take long
        return permit if permit.day == today else replace(permit, day=today)

    def record(self, permit: Permit, name: str, fields: dict[str, float | str]) -> None:
        """Keeps an event under a permit that names it."""
        self.journal.add(permit.withdrawals, permit.day, name, fields)

    def drop(self, permit: Permit, why: Fate) -> None:
        """Counts, under a permit, what cannot be kept."""
        self.journal.drop(permit.withdrawals, permit.day, why)

    def tick(self, seconds: float) -> None:
        """Makes the answers that are due, then sends for at most `seconds`."""
        now = self._clock()
        self.answer(now)
        self.send(seconds, now)

    def answer(self, now: datetime | None = None) -> None:
        """Makes the answers that are due, and forgets what is no longer needed. now: by default the clock's time."""
        with self._noting_trouble():
            self._answer(now or self._clock())

    def _answer(self, now: datetime) -> None:
        self._finish_withdrawal()
        self.journal.write_due(now.date())
        self._state.erase()
        self._state.mark_soon()
        if self._permission.stopped():
            return
        facts = self.refresh(now.date())
        ended = facts.ended(now.date())
        work = [survey for survey in self._permit.surveys if self._has_work(facts, survey, now)]
        if work or ended:
            self.journal.write(now.date())
            with self._sealed(self._state.answering() if work else self._state.transaction()) as connection:
                facts = Facts.read(connection, self._id)  # another process may have written since
                for survey in self._surveys:
                    if survey.digest in ended:
                        self._note_missed(connection, facts, survey, now)
                for digest in ended:
                    schedule.close(connection, self._id, digest)
                for survey in work:
                    self._work(connection, facts, survey, now)
            self._state.erase()

    def send(self, seconds: float, now: datetime | None = None, *, wait: bool = False) -> bool:
        """Sends what is due within `seconds`; whether nothing that is due is left. now: by default the clock's time."""
        if self._permission.stopped():
            return False
        with self._noting_trouble():
            return self.delivery.send(now or self._clock(), seconds, wait=wait)

    def status(self) -> Status:
        """How everything stands, also where it is switched off; no value is in it."""
        with suppress(sqlite3.Error):  # what cannot be written can still be told
            self._finish_withdrawal()
            self.journal.write()
            self._state.erase()
        today = self._permission.today()
        with self._state.snapshot() as connection:
            facts = Facts.read(connection, self._id)
            surveys = self._statuses(connection, facts, today)
            waiting = outbox.waiting(connection, self._id)
            counted = counters.find(connection, self._id)
        self._apply(facts, today)  # what it says of consent is what `record` goes by
        status = Status(self._trouble, surveys, len(waiting), counted, self.delivery.last_failure(waiting))
        stopped = self._permission.stopped()
        return status.silenced(stopped) if stopped else status

    def explain(self) -> tuple[Explanation, ...]:
        """Every survey in plain language, with how it stands here."""
        stopped = self._permission.stopped()
        with self._state.snapshot() as connection:
            statuses = self._statuses(connection, Facts.read(connection, self._id), self._permission.today())
        return tuple(
            explain_survey(survey, status, stopped=stopped)
            for survey, status in zip(self._surveys, statuses, strict=True)
        )

    def receipts(self) -> tuple[Receipt, ...]:
        """The standing consents."""
        with self._state.lock() as connection:
            found = (consent.receipt(connection, self._id, survey) for survey in self._surveys)
            return tuple(one for one in found if one)

    def require_file(self) -> None:
        """Raises StateLostError where the file was deleted or replaced; never waits."""
        self._state.require_file()

    def leave(self) -> None:
        """Lets go of a file that is lost, and of what was to be written to it."""
        self.journal.clear()
        self._state.leave(self)

    @property
    def idle(self) -> bool:
        """Whether closing has nothing to write, and so nobody to wait for."""
        return not (self._permission.withdrawing or self.journal.waits or self._state.mark_is_due)

    def close(self) -> None:
        """Writes what is in memory, and lets go of the file."""
        try:
            if not self.idle:
                self._finish_withdrawal()
                self.journal.write()
                self._state.mark_soon()
        finally:
            self._state.leave(self)

    @contextmanager
    def _sealed(self, transaction: AbstractContextManager[sqlite3.Connection]) -> Iterator[sqlite3.Connection]:
        """A transaction over what is known to be sound, sealed again at its end; StateError if it is damaged."""
        with transaction as connection:
            if not checksum.holds(connection, self._id):
                self._permission.damaged = True
                raise StateError(Silence.DAMAGED)
            yield connection
            checksum.renew(connection, self._id)

    @contextmanager
    def _noting_trouble(self) -> Iterator[None]:
        """Keeps for `status` that the device could not do its work, until it can again."""
        try:
            yield
        except Exception as error:
            self._trouble = f"the last try failed: {describe_failure(error)}"
            raise
        self._trouble = None

    def _take_up(self, connection: sqlite3.Connection, survey: Survey, plan: Schedule | None, today: date) -> Schedule:
        ceiling = self._terms.max_lifetime_epsilon
        return schedule.take_up(connection, self._id, survey, plan, ceiling, today, self._randomness)

    def _has_work(self, facts: Facts, survey: Survey, now: datetime) -> bool:
        """Whether a tick has anything to write for the survey: at most once an epoch, whatever the customer did."""
        if not survey.runs(now.date()):
            return False
        plan = facts.schedules.get(survey.digest)
        if plan is None:
            return True
        return plan.silent is None and plan.seen < survey.epoch.start(now.date()).toordinal()

    def _work(self, connection: sqlite3.Connection, facts: Facts, survey: Survey, now: datetime) -> None:
        if not self._permission.covers(facts, survey):
            return
        self._note_missed(connection, facts, survey, now)
        plan = self._take_up(connection, survey, facts.schedules.get(survey.digest), now.date())
        if answering.due(connection, self._id, survey, plan, now) and not self._over_ceiling(connection):
            cohort = self._cohorts[survey.digest]
            answering.answer(connection, self._id, survey, plan, cohort, now, self._randomness)
        schedule.see(connection, self._id, survey, survey.epoch.start(now.date()))

    def _note_missed(self, connection: sqlite3.Connection, facts: Facts, survey: Survey, now: datetime) -> None:
        plan, agreed_on = facts.schedules.get(survey.digest), facts.agreed_on(survey)
        if plan is None or agreed_on is None or not self._permission.covers(facts, survey):
            return
        if not self._over_ceiling(connection):
            missed = answering.missed(connection, self._id, survey, plan, agreed_on, now)
            if missed:
                counters.add(connection, self._id, Fate.MISSED, missed)

    def _over_ceiling(self, connection: sqlite3.Connection) -> bool:
        return not ledger.fits(connection, self._id, self._terms.max_lifetime_epsilon)

    def _statuses(self, connection: sqlite3.Connection, facts: Facts, today: date) -> tuple[SurveyStatus, ...]:
        over_ceiling = self._over_ceiling(connection)
        return tuple(self._status(connection, facts, survey, today, over_ceiling) for survey in self._surveys)

    def _status(
        self, connection: sqlite3.Connection, facts: Facts, survey: Survey, today: date, over_ceiling: bool
    ) -> SurveyStatus:
        plan = facts.schedules.get(survey.digest)
        agreed = self._permission.covers(facts, survey)
        here, before = ledger.spent(connection, self._id, survey)
        silent = self._silence(facts, survey, today, over_ceiling)
        most = here
        if plan is None and agreed and silent is None:  # kept consent: it is taken up with the next tick
            most = survey.lifetime_epsilon
        elif plan and plan.silent in (None, Silence.ROLLED_BACK):
            # where the ledger may be an old one, what was spent is known only to be at most what was set aside
            most = plan.reserved
        coming = plan.next_answer(survey, today) if plan and silent is None else None
        reason = None if silent is None else str(silent)  # a plain string for the app
        withdrew = self._withdrew(facts, survey)
        return SurveyStatus(survey.id, survey.version, agreed, reason, before + here, before + most, withdrew, coming)

    def _withdrew(self, facts: Facts, survey: Survey) -> bool:
        return self._permission.withdrawing or facts.withdrew(survey)

    def _silence(self, facts: Facts, survey: Survey, today: date, over_ceiling: bool) -> str | None:
        plan = facts.schedules.get(survey.digest)
        if plan is not None and plan.silent:
            return Silence.CLOCK_AHEAD if plan.silent == Silence.ENDED and today <= survey.ends else plan.silent
        if self._withdrew(facts, survey):
            return Silence.WITHDRAWN
        if not self._permission.covers(facts, survey):
            return Silence.NO_CONSENT
        if today > survey.ends:
            return Silence.ENDED
        if plan is not None and survey.epoch.start(today).toordinal() < plan.seen:
            return Silence.CLOCK_BACK
        if over_ceiling or (plan is not None and not plan.reserved):
            return Silence.OVER_CEILING
        return None
