"""The ledger: what each answer of this device has cost, and what its surveys may cost together."""

from __future__ import annotations

import sqlite3

from client_sdk.survey import Survey

ROUNDING = 1e-9  # sums of epsilons are floats


def charge(
    connection: sqlite3.Connection, device: int, survey: Survey, question: str, epoch: str, epsilon: float
) -> None:
    """Enters an answer's cost; sqlite3.IntegrityError if the question was already answered in this epoch."""
    connection.execute(
        "INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?)", (device, survey.id, question, epoch, survey.digest, epsilon)
    )


def answered(connection: sqlite3.Connection, device: int, survey: Survey, epoch: str) -> bool:
    """Whether this device has answered the survey, in any version, in this epoch."""
    row = connection.execute(
        "SELECT 1 FROM ledger WHERE device = ? AND survey = ? AND epoch = ? LIMIT 1", (device, survey.id, epoch)
    ).fetchone()
    return row is not None


def spent(connection: sqlite3.Connection, device: int, survey: Survey) -> float:
    """The epsilon that this device has spent on the survey, all its versions together."""
    (total,) = connection.execute(
        "SELECT coalesce(sum(epsilon), 0.0) FROM ledger WHERE device = ? AND survey = ?", (device, survey.id)
    ).fetchone()
    return float(total)


def committed(connection: sqlite3.Connection, device: int) -> float:
    """The epsilon that this device has spent or may yet spend on all surveys that it ever took up.

    A survey that goes on counts with all it may cost. One that is over counts with what was spent, except under
    permanent memory, where what was spent depends on what the customer did.
    """
    (total,) = connection.execute(
        """
        SELECT coalesce(sum(CASE WHEN silent IS NOT NULL AND NOT permanent
            THEN (SELECT coalesce(sum(epsilon), 0.0) FROM ledger
                  WHERE ledger.device = schedules.device AND ledger.digest = schedules.digest)
            ELSE reserved END), 0.0)
        FROM schedules WHERE device = ?
        """,
        (device,),
    ).fetchone()
    return float(total)
