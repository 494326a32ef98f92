"""The outbox: batches that wait to be delivered, as the very bytes that every retry sends."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time

from client_sdk.randomness import Randomness
from client_sdk.report import Batch, Report
from client_sdk.state import count
from client_sdk.survey import Survey


@dataclass(frozen=True)
class Waiting:
    """A batch in the outbox: its id, the body to send, and whether it is too late for that."""

    batch: str
    body: bytes
    expired: bool


def moment(survey: Survey, now: datetime, randomness: Randomness) -> float:
    """When to send an answer made now: uniform in what is left of its epoch, so that the time tells nothing.

    Returns seconds since 1970; a collector still accepts the epoch during the next one.
    """
    ends = datetime.combine(survey.epoch.next(now.date()), time(), UTC).timestamp()
    return now.timestamp() + randomness.below(max(int(ends - now.timestamp()), 1))


def put(
    connection: sqlite3.Connection,
    device: int,
    survey: Survey,
    reports: Sequence[Report],
    due: float,
    randomness: Randomness,
) -> None:
    """Enqueues reports under a new random batch id, to be dropped once their epochs can no longer be accepted.

    At most one batch for every survey and answering epoch waits, none longer than two epochs: it is bounded.
    """
    batch = Batch(
        f"{randomness.word():016x}{randomness.word():016x}", survey.id, survey.version, survey.digest, tuple(reports)
    )
    last = min(survey.epoch.end(survey.epoch.next(survey.epoch.first_day(report.epoch))) for report in reports)
    connection.execute(
        "INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?)",
        (device, batch.id, survey.digest, due, last.toordinal(), batch.encode()),
    )


def due(connection: sqlite3.Connection, device: int, now: datetime) -> list[Waiting]:
    """The device's batches whose time has come, or is over, in the order of their random ids."""
    rows = connection.execute(
        "SELECT batch, body, expires FROM outbox WHERE device = ? AND due <= ? ORDER BY batch",
        (device, now.timestamp()),
    )
    return [Waiting(batch, body, expires < now.date().toordinal()) for batch, body, expires in rows]


def waiting(connection: sqlite3.Connection, device: int) -> int:
    """How many of the device's batches are in the outbox."""
    (number,) = connection.execute("SELECT count(*) FROM outbox WHERE device = ?", (device,)).fetchone()
    return int(number)


def holds(connection: sqlite3.Connection, device: int, batch: str) -> bool:
    """Whether a batch still waits."""
    row = connection.execute("SELECT 1 FROM outbox WHERE device = ? AND batch = ?", (device, batch)).fetchone()
    return row is not None


def remove(connection: sqlite3.Connection, device: int, batch: str) -> bool:
    """Deletes a batch that was delivered or refused for good; False if another process already has."""
    return connection.execute("DELETE FROM outbox WHERE device = ? AND batch = ?", (device, batch)).rowcount == 1


def drop(connection: sqlite3.Connection, device: int, expired: Iterable[Waiting]) -> None:
    """Deletes and counts the reports whose epoch no collector accepts any more. Within a transaction."""
    for one in expired:
        if remove(connection, device, one.batch):
            count(connection, device, "expired", len(Batch.decode(one.body).reports))
