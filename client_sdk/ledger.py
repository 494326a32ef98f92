"""The ledger: what each answer of this device has cost, so that none is ever given twice."""

from __future__ import annotations

import sqlite3

from client_sdk.survey import Survey


def charge(
    connection: sqlite3.Connection, device: int, survey: Survey, question: str, epoch: str, epsilon: float
) -> None:
    """Enters an answer's cost; sqlite3.IntegrityError if the question was already answered in this epoch."""
    connection.execute(
        "INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?)", (device, survey.id, survey.version, question, epoch, epsilon)
    )


def answered(connection: sqlite3.Connection, device: int, survey: Survey, epoch: str) -> bool:
    """Whether this device has already answered the survey in this epoch."""
    row = connection.execute(
        "SELECT 1 FROM ledger WHERE device = ? AND survey = ? AND version = ? AND epoch = ? LIMIT 1",
        (device, survey.id, survey.version, epoch),
    ).fetchone()
    return row is not None


def spent(connection: sqlite3.Connection, device: int, survey: Survey) -> float:
    """The epsilon that this device has spent on the survey, all its versions together."""
    (total,) = connection.execute(
        "SELECT coalesce(sum(epsilon), 0.0) FROM ledger WHERE device = ? AND survey = ?", (device, survey.id)
    ).fetchone()
    return float(total)
