"""The ledger: what each answer of this device has cost, and what its surveys may cost together."""

from __future__ import annotations

import sqlite3

from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.privacy import within_ceiling


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


def spent(connection: sqlite3.Connection, device: int, survey: Survey) -> tuple[float, float]:
    """The epsilon that this device has spent on this version of the survey, and on all the others.

    Under permanent memory what was set aside, from the first answer on: what was spent would tell how often an answer
    changed, and when.
    """
    rows = connection.execute(
        """
        SELECT ledger.digest, CASE WHEN permanent THEN reserved ELSE sum(epsilon) END
        FROM ledger LEFT JOIN schedules USING (device, digest)
        WHERE device = ? AND ledger.survey = ? GROUP BY ledger.digest
        """,
        (device, survey.id),
    )
    costs: dict[str, float] = dict(rows)
    return costs.pop(survey.digest, 0.0), sum(costs.values())


def committed(connection: sqlite3.Connection, device: int) -> float:
    """The epsilon that this device has spent or may yet spend on all surveys that it ever took up.

    A survey that goes on counts with all it may cost. One that is over counts with what was spent, except under
    permanent memory, where what was spent depends on what the customer did, and where the ledger may be an old one.
    """
    (total,) = connection.execute(
        """
        SELECT coalesce(sum(CASE WHEN silent IS NOT NULL AND NOT permanent
            THEN (SELECT coalesce(sum(epsilon), 0.0) FROM ledger
                  WHERE ledger.device = schedules.device AND ledger.survey = schedules.survey
                  AND ledger.digest = schedules.digest)
            ELSE reserved END), 0.0)
        FROM schedules WHERE device = ?
        """,
        (device,),
    ).fetchone()
    return float(total)


def fits(connection: sqlite3.Connection, device: int, ceiling: float | None, more: float = 0.0) -> bool:
    """Whether all that this device has committed, and `more` epsilon, is within the ceiling; None is no ceiling."""
    return ceiling is None or within_ceiling(committed(connection, device) + more, ceiling)


def flatten(connection: sqlite3.Connection, device: int, digest: str) -> None:
    """Keeps which epochs were answered and what that cost in all, and forgets when it cost how much.

    With permanent memory that would tell when an answer changed.
    """
    _gather(connection, device, digest, "UPDATE ledger SET epsilon = 0.0 WHERE device = ? AND digest = ?")


def sum_up(connection: sqlite3.Connection, device: int, digest: str) -> None:
    """Keeps of a survey that is over only what it has cost in all."""
    _gather(connection, device, digest, "DELETE FROM ledger WHERE device = ? AND digest = ?")


def _gather(connection: sqlite3.Connection, device: int, digest: str, rest: str) -> None:
    where = (device, digest)
    survey, total = connection.execute(
        "SELECT min(survey), sum(epsilon) FROM ledger WHERE device = ? AND digest = ?", where
    ).fetchone()
    if survey is None:
        return
    connection.execute(rest, where)
    # no question has this id, and no epoch this name
    connection.execute(
        "INSERT OR REPLACE INTO ledger VALUES (?, ?, '', ?, ?, ?)", (device, survey, digest, digest, total)
    )
