"""The table of permanent answers: for each value, the symbol that the device drew once and repeats."""

from __future__ import annotations

import sqlite3
from typing import cast

from hushtally.client_sdk.mechanisms import PermanentMechanism
from hushtally.client_sdk.randomness import Randomness
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.questions import Question, Signals


def recall(
    connection: sqlite3.Connection,
    device: int,
    survey: Survey,
    question: Question,
    signals: Signals,
    randomness: Randomness,
) -> tuple[int, float]:
    """Return the symbol of a report from permanent memory, and what it costs.

    A new value draws a permanent symbol and costs epsilon_permanent. A known value reuses its symbol and costs 0. After
    `changes` new values, a further value repeats the one that was used last.
    """
    mechanism = cast(PermanentMechanism, question.mechanism)  # the registry builds no other with permanent memory
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
