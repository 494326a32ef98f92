"""The ledger: what each answer of a device cost, and what its surveys may cost together."""

from __future__ import annotations

import sqlite3

from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.privacy import within_ceiling


def charge(
    connection: sqlite3.Connection, device: int, survey: Survey, question: str, epoch: str, epsilon: float
) -> None:
    """Store the cost of an answer. Raises sqlite3.IntegrityError if the question was answered in this epoch before."""
    connection.execute(
        "INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?)", (device, survey.id, question, epoch, survey.digest, epsilon)
    )


def answered(connection: sqlite3.Connection, device: int, survey: Survey, epoch: str) -> bool:
    """Return whether the device has answered any version of the survey in this epoch."""
    row = connection.execute(
        "SELECT 1 FROM ledger WHERE device = ? AND survey = ? AND epoch = ? LIMIT 1", (device, survey.id, epoch)
    ).fetchone()
    return row is not None


def spent(connection: sqlite3.Connection, device: int, survey: Survey) -> tuple[float, float]:
    """Return the epsilon spent on this version of the survey, and on all other versions.

    With permanent memory it is the whole reserved epsilon from the first answer on. The epsilon spent so far would
    reveal how often an answer changed, and when.
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
    """Return the epsilon that the device has spent, or may still spend, on all surveys that it was enrolled in.

    A survey that is not silent counts with its reserved epsilon. A silent one counts with the epsilon spent. There are
    two exceptions, which count with the reserved epsilon. With permanent memory, the epsilon spent depends on what
    the customer did. After a rollback, the ledger may be incomplete.
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
    """Return whether the committed epsilon, and `more`, is within the ceiling; None means no ceiling."""
    return ceiling is None or within_ceiling(committed(connection, device) + more, ceiling)


def merge_costs(connection: sqlite3.Connection, device: int, digest: str) -> None:
    """Replace the cost of each answer by one sum; keep which epochs were answered.

    With permanent memory, the single costs would reveal when an answer changed.
    """
    _store_sum(connection, device, digest, "UPDATE ledger SET epsilon = 0.0 WHERE device = ? AND digest = ?")


def keep_sum(connection: sqlite3.Connection, device: int, digest: str) -> None:
    """Replace all rows of a survey that has ended by one sum."""
    _store_sum(connection, device, digest, "DELETE FROM ledger WHERE device = ? AND digest = ?")


def _store_sum(connection: sqlite3.Connection, device: int, digest: str, statement: str) -> None:
    where = (device, digest)
    survey, total = connection.execute(
        "SELECT min(survey), sum(epsilon) FROM ledger WHERE device = ? AND digest = ?", where
    ).fetchone()
    if survey is None:
        return
    connection.execute(statement, where)
    # no question has an empty id, and no epoch is called like a digest
    connection.execute(
        "INSERT OR REPLACE INTO ledger VALUES (?, ?, '', ?, ?, ?)", (device, survey, digest, digest, total)
    )
