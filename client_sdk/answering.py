"""Answering: the one place where a true value exists, and becomes a symbol at once."""

from __future__ import annotations

import sqlite3
from datetime import date, datetime
from typing import cast

from client_sdk import consent, events, ledger, outbox
from client_sdk.mechanisms import PermanentMechanism
from client_sdk.questions import Question, Signals
from client_sdk.randomness import Randomness
from client_sdk.report import Report
from client_sdk.schedule import Schedule
from client_sdk.survey import Survey


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


def missed(connection: sqlite3.Connection, device: int, survey: Survey, plan: Schedule, now: datetime) -> int:
    """How many epochs have ended in which the device had an answer to give, and gave none.

    Since the last one that a tick saw, or since it agreed: in those no tick was called, or none that could answer.
    """
    receipt = consent.receipt(connection, device, survey)
    if receipt is None or plan.silent or not plan.reserved:
        return 0
    first = max(survey.starts, date.fromisoformat(receipt.at[:10]), date.fromordinal(max(1, plan.seen)))
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
            symbol, cost = _remembered(connection, device, survey, question, signals, randomness)
        else:
            symbol, cost = question.mechanism.perturb(question.form.value(signals), randomness), question.epsilon
        ledger.charge(connection, device, survey, id, epoch, cost)
        reports.append(Report(id, epoch, cohort, symbol))
    reports.sort(key=lambda report: report.question)  # in the order that was drawn they would tell devices apart
    outbox.put(connection, device, survey, reports, outbox.moment(survey, now, randomness), randomness)


def _remembered(
    connection: sqlite3.Connection,
    device: int,
    survey: Survey,
    question: Question,
    signals: Signals,
    randomness: Randomness,
) -> tuple[int, float]:
    """A report from permanent memory, and what it adds to the ledger: epsilon_permanent for a new answer, else 0.

    A value seen before reuses its permanent symbol; once `changes` new answers were followed, the last one stays.
    """
    mechanism = cast(PermanentMechanism, question.mechanism)  # the registry makes no other with permanent memory
    where = (device, survey.digest, question.id)
    query = "SELECT value, symbol FROM answers WHERE device = ? AND digest = ? AND question = ? ORDER BY used"
    known: dict[int, int] = dict(connection.execute(query, where))
    value = question.form.value(signals)
    last = list(known)[-1] if known else None
    new = value not in known and len(known) <= (survey.privacy.changes or 0)
    if new:
        known[value] = mechanism.draw(value, randomness, None if last is None else known[last])
    elif value not in known and last is not None:
        value = last
    connection.execute(
        "INSERT OR REPLACE INTO answers SELECT ?, ?, ?, ?, ?, 1 + coalesce(max(used), 0) FROM answers"
        " WHERE device = ? AND digest = ? AND question = ?",
        (*where, value, known[value], *where),
    )
    return mechanism.repeat(known[value], randomness), (question.epsilon_permanent or 0.0) if new else 0.0
