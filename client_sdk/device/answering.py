"""Answering: the only place where a true value exists. It is replaced by a random symbol at once."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from hushtally.client_sdk.errors import StateError
from hushtally.client_sdk.protocol.report import Report
from hushtally.client_sdk.randomness import Randomness
from hushtally.client_sdk.state import answers, cohorts, counters, enrollment, erasure, events, ledger, outbox
from hushtally.client_sdk.state.counters import Fate
from hushtally.client_sdk.state.facts import Facts
from hushtally.client_sdk.state.outbox import Entry
from hushtally.client_sdk.state.permission import Permission
from hushtally.client_sdk.state.records import Records
from hushtally.client_sdk.state.schedule import Schedule
from hushtally.client_sdk.state.silence import Silence
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.signals import Event


def has_work(facts: Facts, survey: Survey, today: date) -> bool:
    """Return whether a tick must write for the survey: at most once an epoch, whatever the customer did."""
    if not survey.runs(today):
        return False
    found = facts.schedules.get(survey.digest)
    return found is None or (found.silent is None and found.handled < survey.epoch.start(today).toordinal())


def is_due(records: Records, survey: Survey, schedule: Schedule, now: datetime) -> bool:
    """Return whether the device has to answer in the epoch of `now` and has not done so.

    This depends on the schedule and the clock only, never on what the customer did.
    """
    today = now.date()
    if schedule.silent or not schedule.reserved or not schedule.answers_in(survey, today):
        return False
    if survey.epoch.start(today).toordinal() <= schedule.handled:
        return False  # the epoch was handled, or the clock was set back
    return not ledger.answered(records, survey, survey.epoch.label(today))


def count_missed(records: Records, survey: Survey, schedule: Schedule, agreed_on: date, now: datetime) -> int:
    """Return in how many past epochs the device had to answer and did not, because no tick ran or none worked.

    agreed_on: the day of consent. Only epochs since that day, and since the last one that a tick handled, count.
    """
    if schedule.silent or not schedule.reserved:
        return 0
    first = max(survey.starts, agreed_on, date.fromordinal(max(1, schedule.handled)))
    day, missed = survey.epoch.start(first), 0
    while survey.runs(day) and survey.epoch.next(day) <= now.date():
        if day.toordinal() > schedule.handled and schedule.answers_in(survey, day):
            missed += not ledger.answered(records, survey, survey.epoch.label(day))
        day = survey.epoch.next(day)
    return missed


def answer(
    records: Records,
    survey: Survey,
    schedule: Schedule,
    history: Iterable[Event],
    cohort: dict[str, str],
    now: datetime,
    randomness: Randomness,
) -> list[Report]:
    """Compute, randomize and charge the answers of the epoch of `now`; return the reports.

    Call it when the answers are due, inside one transaction: either everything is stored, or nothing was drawn. A
    device without events answers like any other.
    """
    today = now.date()
    epoch = survey.epoch.label(today)
    signals = {name: signal.value(history, today) for name, signal in survey.signals.items()}
    reports = []
    for id in schedule.questions:
        question = survey.question(id)
        if survey.permanent:
            symbol, cost = answers.recall(records, survey, question, signals, randomness)
        else:
            symbol, cost = question.mechanism.perturb(question.form.value(signals), randomness), question.epsilon
        ledger.charge(records, survey, id, epoch, cost)
        reports.append(Report(id, epoch, cohort, symbol))
    reports.sort(key=lambda report: report.question)  # the order in which they were drawn would identify the device
    return reports


@dataclass
class Outcome:
    """What a tick did for one device: rows for the outbox, and counts."""

    entries: list[Entry] = field(default_factory=list)
    counts: Counter[tuple[int, Fate]] = field(default_factory=Counter)
    needs_cohorts: bool = True


class Answering:
    """Makes the answers of any number of devices that are due: read together, decided one by one, written together."""

    def __init__(
        self,
        surveys: Sequence[Survey],
        permission: Permission,
        ceiling: float | None,
        randomness: Randomness,
        *,
        alone: bool,
    ) -> None:
        """ceiling: see `max_lifetime_epsilon` of a client. alone: every device sends its own batches."""
        self._surveys = surveys
        self._permission = permission
        self._ceiling = ceiling
        self._randomness = randomness
        self._alone = alone

    def has_work(self, facts: Facts, today: date) -> bool:
        """Return whether a tick must write for the device."""
        for survey in self._surveys:  # not a generator: an exception of a signal handler would be lost in its end
            if has_work(facts, survey, today):
                return True
        return bool(facts.ended(today)) or self.has_unneeded_cohorts(facts, today)

    def has_unneeded_cohorts(self, facts: Facts, today: date) -> bool:
        """Return whether no survey needs the stored cohorts any more."""
        return bool(facts.cohorts) and not facts.running(today) and not self._permission.permit(facts, today).surveys

    def answer(
        self,
        connection: sqlite3.Connection,
        devices: Sequence[int],
        now: datetime,
    ) -> list[Exception]:
        """Make the answers of these devices that are due, close surveys that have ended, and count missed answers.

        Call it in a transaction. devices: in ascending order. Returns the failures. Nothing is written for a device
        that failed, and the next tick tries again. A damaged device is silent from then on.
        """
        today = now.date()
        several = Records.read_all(connection, devices)
        damaged = [device for device in devices if device not in several or not several[device].intact]
        self._permission.damaged.update(damaged)
        failures: list[Exception] = [StateError(Silence.DAMAGED) for _ in damaged]
        working = {device: one for device, one in several.items() if one.intact and self.has_work(one, today)}
        asked = [device for device, one in working.items() if self._may_answer(one, now)]
        histories = events.Histories(connection, asked)
        written, entries, unneeded = [], list[Entry](), list[int]()
        counts: Counter[tuple[int, Fate]] = Counter()
        for device, records in working.items():
            try:
                outcome = self._answer_device(records, histories.of(device), now)
            except Exception as error:
                failures.append(error)
                continue
            written.append(records)
            entries += outcome.entries
            counts.update(outcome.counts)
            unneeded += [] if outcome.needs_cohorts else [device]
        Records.write_all(connection, written)
        outbox.put_all(connection, entries)
        if unneeded:
            cohorts.erase(connection, unneeded)
            erasure.request(connection)
        counts.update(histories.delete_damaged(connection))
        counters.add_all(connection, counts)
        return failures

    def _may_answer(self, records: Records, now: datetime) -> bool:
        """Return whether the events of the device may be needed."""
        for survey in self._surveys:
            schedule = records.schedules.get(survey.digest)
            if schedule is None or is_due(records, survey, schedule, now):
                return True
        return False

    def _answer_device(self, records: Records, history: Sequence[Event], now: datetime) -> Outcome:
        today, outcome = now.date(), Outcome()
        ended = records.ended(today)
        working = [survey for survey in self._surveys if has_work(records, survey, today)]
        for survey in self._surveys:
            if survey.digest in ended:
                self._count_missed(records, survey, now, outcome)
        for digest in ended:
            enrollment.close(records, digest)
        outcome.needs_cohorts = not self.has_unneeded_cohorts(records, today)
        for survey in working:
            cohort = self._permission.cohort(records, survey)
            if cohort is not None and self._permission.covers(records, survey):
                self._count_missed(records, survey, now, outcome)
                self._answer_survey(records, survey, history, cohort, now, outcome)
        return outcome

    def _answer_survey(
        self,
        records: Records,
        survey: Survey,
        history: Sequence[Event],
        cohort: dict[str, str],
        now: datetime,
        outcome: Outcome,
    ) -> None:
        schedule = enrollment.enroll(records, survey, self._ceiling, now.date(), self._randomness)
        if is_due(records, survey, schedule, now) and self._is_within_ceiling(records):
            reports = answer(records, survey, schedule, history, cohort, now, self._randomness)
            due = outbox.moment(survey, now, self._randomness)
            entry = outbox.entry(records.device, survey, reports, due, self._randomness, alone=self._alone)
            outcome.entries.append(entry)
            if self._permission.cohorts([survey]).items() - cohort.items():
                outcome.counts[records.device, Fate.COHORT_IGNORED] += 1
        enrollment.mark_handled(records, survey, survey.epoch.start(now.date()))

    def _count_missed(self, records: Records, survey: Survey, now: datetime, outcome: Outcome) -> None:
        found, agreed_on = records.schedules.get(survey.digest), records.agreed_on(survey)
        if found is None or agreed_on is None or not self._permission.covers(records, survey):
            return
        if self._is_within_ceiling(records):
            missed = count_missed(records, survey, found, agreed_on, now)
            if missed:
                outcome.counts[records.device, Fate.MISSED] += missed

    def _is_within_ceiling(self, records: Records) -> bool:
        return ledger.fits(records, self._ceiling)
