"""Answering: the one place where a true value exists, and becomes a symbol at once."""

from __future__ import annotations

import sqlite3
from datetime import date

from client_sdk import consent, events, ledger, outbox, schedule
from client_sdk.mechanisms import PermanentMechanism
from client_sdk.questions import Question, Signals
from client_sdk.randomness import Randomness
from client_sdk.report import Report
from client_sdk.survey import Survey


def due(connection: sqlite3.Connection, device: int, survey: Survey, today: date) -> bool:
    """Whether the device has an answer to give in the epoch of `today` and has not given it."""
    if not survey.runs(today) or not consent.granted(connection, device, survey):
        return False
    plan = schedule.find(connection, device, survey)
    if plan is None or not plan.answers_in(survey, today):
        return False
    return not ledger.answered(connection, device, survey, survey.epoch.label(today))


def answer(
    connection: sqlite3.Connection,
    device: int,
    survey: Survey,
    cohort: dict[str, str],
    today: date,
    randomness: Randomness,
) -> None:
    """Evaluates, randomizes, charges and enqueues the answers of the epoch of `today`, if they are due.

    To be called inside one transaction: either all of it is on the disk, or nothing was drawn. A device without
    events answers like any other.
    """
    if not due(connection, device, survey, today):
        return
    plan = schedule.find(connection, device, survey)
    assert plan is not None
    epoch = survey.epoch.label(today)
    history = events.find(connection, device)
    signals = {name: signal.value(history, today) for name, signal in survey.signals.items()}
    reports = []
    for id in plan.questions:
        question = survey.question(id)
        if isinstance(question.mechanism, PermanentMechanism):
            symbol, cost = _remembered(connection, device, survey, question, question.mechanism, signals, randomness)
        else:
            symbol, cost = question.mechanism.perturb(question.form.value(signals), randomness), question.epsilon
        ledger.charge(connection, device, survey, id, epoch, cost)
        reports.append(Report(id, epoch, cohort, symbol))
    outbox.put(connection, device, survey, reports, randomness)


def _remembered(
    connection: sqlite3.Connection,
    device: int,
    survey: Survey,
    question: Question,
    mechanism: PermanentMechanism,
    signals: Signals,
    randomness: Randomness,
) -> tuple[int, float]:
    """A report from permanent memory, and what it adds to the ledger: epsilon_permanent for a new answer, else 0.

    A value seen before reuses its permanent symbol; once `changes` new answers were followed, the last one stays.
    """
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
