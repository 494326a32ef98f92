"""The outbox: batches that wait to be delivered, as the very bytes that every retry sends."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from client_sdk.randomness import Randomness
from client_sdk.report import Batch, Report
from client_sdk.state import count
from client_sdk.survey import Survey


@dataclass(frozen=True)
class Waiting:
    """A batch in the outbox: its id and the body to send."""

    batch: str
    body: bytes


def put(
    connection: sqlite3.Connection, device: int, survey: Survey, reports: Sequence[Report], randomness: Randomness
) -> None:
    """Enqueues reports under a new random batch id, to be dropped once their epochs can no longer be accepted."""
    batch = Batch(
        f"{randomness.word():016x}{randomness.word():016x}", survey.id, survey.version, survey.digest, tuple(reports)
    )
    last = min(survey.epoch.end(survey.epoch.next(survey.epoch.first_day(report.epoch))) for report in reports)
    connection.execute(
        "INSERT INTO outbox VALUES (?, ?, ?, ?, ?)", (batch.id, device, survey.digest, last.toordinal(), batch.encode())
    )


def waiting(connection: sqlite3.Connection, device: int) -> list[Waiting]:
    """The device's batches, in the order of their ids: the order of making is not kept."""
    rows = connection.execute("SELECT batch, body FROM outbox WHERE device = ? ORDER BY batch", (device,))
    return [Waiting(*row) for row in rows]


def remove(connection: sqlite3.Connection, batch: str) -> None:
    """Deletes a batch that was delivered or refused for good."""
    connection.execute("DELETE FROM outbox WHERE batch = ?", (batch,))


def drop_expired(connection: sqlite3.Connection, device: int, today: date) -> None:
    """Deletes and counts the reports whose epoch no collector accepts any more."""
    rows = connection.execute(
        "SELECT batch, body FROM outbox WHERE device = ? AND expires < ?", (device, today.toordinal())
    ).fetchall()
    for batch, body in rows:
        remove(connection, batch)
        count(connection, device, "expired", len(Batch.decode(body).reports))
