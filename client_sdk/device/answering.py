"""Answering: the one place where a true value exists, and becomes a symbol at once."""

from __future__ import annotations

import sqlite3
from datetime import date, datetime

from hushtally.client_sdk.protocol.report import Report
from hushtally.client_sdk.randomness import Randomness
from hushtally.client_sdk.state import answers, events, ledger, outbox
from hushtally.client_sdk.state.schedule import Schedule
from hushtally.client_sdk.survey import Survey


def due(connection: sqlite3.Connection, device: int, survey: Survey, plan: Schedule, now: datetime) -> bool:
    """Whether the device has an answer to give in the epoch of `now` and has not given it.

    It depends on the schedule and the clock alone, never on what the customer did.
    """
    today = now.date()
    if plan.silent or not plan.reserved or not plan.answers_in(survey, today):
        return False
    if survey.epoch.start(today).toordinal() <= plan.seen:
        return False  # this epoch's turn is over, or the clock went back
    return not ledger.answered(connection, device, survey, survey.epoch.label(today))


def missed(
    connection: sqlite3.Connection, device: int, survey: Survey, plan: Schedule, agreed_on: date, now: datetime
) -> int:
    """How many epochs have ended in which the device had an answer to give, and gave none.

    Since the last one that a tick saw, or since it agreed: in those no tick was called, or none that could answer.
    """
    if plan.silent or not plan.reserved:
        return 0
    first = max(survey.starts, agreed_on, date.fromordinal(max(1, plan.seen)))
    day, found = survey.epoch.start(first), 0
    while survey.runs(day) and survey.epoch.next(day) <= now.date():
        if day.toordinal() > plan.seen and plan.answers_in(survey, day):
            found += not ledger.answered(connection, device, survey, survey.epoch.label(day))
        day = survey.epoch.next(day)
    return found


def answer(
    connection: sqlite3.Connection,
    device: int,
    survey: Survey,
    plan: Schedule,
    cohort: dict[str, str],
    now: datetime,
    randomness: Randomness,
) -> None:
    """Evaluates, randomizes, charges and enqueues the answers of the epoch of `now`.

    To be called when they are due, inside one transaction: either all of it is on the disk, or nothing was drawn. A
    device without events answers like any other.
    """
    today = now.date()
    epoch = survey.epoch.label(today)
    history = events.find(connection, device)
    signals = {name: signal.value(history, today) for name, signal in survey.signals.items()}
    reports = []
    for id in plan.questions:
        question = survey.question(id)
        if survey.permanent:
            symbol, cost = answers.recall(connection, device, survey, question, signals, randomness)
        else:
            symbol, cost = question.mechanism.perturb(question.form.value(signals), randomness), question.epsilon
        ledger.charge(connection, device, survey, id, epoch, cost)
        reports.append(Report(id, epoch, cohort, symbol))
    reports.sort(key=lambda report: report.question)  # in the order that was drawn they would tell devices apart
    outbox.put(connection, device, survey, reports, outbox.moment(survey, now, randomness), randomness)
