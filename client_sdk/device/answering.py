"""Answering: the only place where a true value exists. It is replaced by a random symbol at once."""

from __future__ import annotations

import sqlite3
from datetime import date, datetime

from hushtally.client_sdk.protocol.report import Report
from hushtally.client_sdk.randomness import Randomness
from hushtally.client_sdk.state import answers, events, ledger, outbox
from hushtally.client_sdk.state.schedule import Schedule
from hushtally.client_sdk.survey import Survey


def is_due(connection: sqlite3.Connection, device: int, survey: Survey, schedule: Schedule, now: datetime) -> bool:
    """Return whether the device has to answer in the epoch of `now` and has not done so.

    This depends on the schedule and the clock only, never on what the customer did.
    """
    today = now.date()
    if schedule.silent or not schedule.reserved or not schedule.answers_in(survey, today):
        return False
    if survey.epoch.start(today).toordinal() <= schedule.handled:
        return False  # the epoch was handled, or the clock was set back
    return not ledger.answered(connection, device, survey, survey.epoch.label(today))


def count_missed(
    connection: sqlite3.Connection, device: int, survey: Survey, schedule: Schedule, agreed_on: date, now: datetime
) -> int:
    """Return in how many past epochs the device had to answer and did not, because no tick ran or none worked.

    agreed_on: the day of consent. Only epochs since that day, and since the last one that a tick handled, count.
    """
    if schedule.silent or not schedule.reserved:
        return 0
    first = max(survey.starts, agreed_on, date.fromordinal(max(1, schedule.handled)))
    day, missed = survey.epoch.start(first), 0
    while survey.runs(day) and survey.epoch.next(day) <= now.date():
        if day.toordinal() > schedule.handled and schedule.answers_in(survey, day):
            missed += not ledger.answered(connection, device, survey, survey.epoch.label(day))
        day = survey.epoch.next(day)
    return missed


def answer(
    connection: sqlite3.Connection,
    device: int,
    survey: Survey,
    schedule: Schedule,
    cohort: dict[str, str],
    now: datetime,
    randomness: Randomness,
) -> None:
    """Compute, randomize, charge and enqueue the answers of the epoch of `now`.

    Call it when the answers are due, inside one transaction: either everything is stored, or nothing was drawn. A
    device without events answers like any other.
    """
    today = now.date()
    epoch = survey.epoch.label(today)
    history = events.find(connection, device)
    signals = {name: signal.value(history, today) for name, signal in survey.signals.items()}
    reports = []
    for id in schedule.questions:
        question = survey.question(id)
        if survey.permanent:
            symbol, cost = answers.recall(connection, device, survey, question, signals, randomness)
        else:
            symbol, cost = question.mechanism.perturb(question.form.value(signals), randomness), question.epsilon
        ledger.charge(connection, device, survey, id, epoch, cost)
        reports.append(Report(id, epoch, cohort, symbol))
    reports.sort(key=lambda report: report.question)  # the order in which they were drawn would identify the device
    outbox.put(connection, device, survey, reports, outbox.moment(survey, now, randomness), randomness)
