"""The outbox: batches that wait to be delivered, as the exact bytes that every retry sends."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time

from hushtally.client_sdk.errors import BatchError
from hushtally.client_sdk.protocol.report import Batch, Report
from hushtally.client_sdk.randomness import Randomness
from hushtally.client_sdk.state import counters
from hushtally.client_sdk.state.counters import Fate
from hushtally.client_sdk.survey import Survey

# every value of a damaged file can be read as bytes; an expression does not use the index, which may be damaged too
_BATCH = "coalesce(CAST(batch AS BLOB), x'')"
_BODY = "coalesce(CAST(body AS BLOB), x'')"
_IN_EVERY_REPORT = (b'"cohort":{', b'},"epoch":"')  # once in each report, whatever its cohorts are called


@dataclass(frozen=True)
class Waiting:
    """A batch in the outbox.

    batch: its id. body: the bytes to send. lost: the counter for its reports if it can no longer be sent, else None.
    """

    batch: bytes
    body: bytes
    lost: Fate | None

    @property
    def reports(self) -> int:
        """The number of reports; an estimate, at least 1, if the body can no longer be decoded."""
        return max(1, *(self.body.count(mark) for mark in _IN_EVERY_REPORT))


def moment(survey: Survey, now: datetime, randomness: Randomness) -> float:
    """Draw when to send an answer that was made now; return seconds since 1970.

    The moment is uniform in the rest of the epoch, so that it reveals nothing about the customer. A collector accepts
    reports of an epoch until the end of the next one.
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
    """Add a batch of these reports with a new random id. It expires when a report's epoch is no longer accepted.

    The outbox is bounded: at most one batch per survey and answering epoch waits, and none longer than two epochs.
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
    """Return the device's batches that are due or expired, in the order of their random ids."""
    today = now.date().toordinal()
    rows = connection.execute(
        f"SELECT {_BATCH}, {_BODY}, coalesce(CAST(expires AS INTEGER), 0) < ? AS late FROM outbox"
        " WHERE device = ? AND (late OR CAST(due AS REAL) <= ?) ORDER BY batch",
        (today, device, now.timestamp()),
    )
    return [Waiting(batch, body, Fate.EXPIRED if late else _damage(batch, body)) for batch, body, late in rows]


def _damage(batch: bytes, body: bytes) -> Fate | None:
    try:
        return None if Batch.decode(body).id.encode() == batch else Fate.DAMAGED_REPORT
    except BatchError:
        return Fate.DAMAGED_REPORT


def waiting(connection: sqlite3.Connection, device: int) -> list[bytes]:
    """Return the ids of all batches of the device, due or not."""
    return [batch for (batch,) in connection.execute(f"SELECT {_BATCH} FROM outbox WHERE device = ?", (device,))]


def holds(connection: sqlite3.Connection, device: int, batch: bytes) -> bool:
    """Return whether the batch is still in the outbox."""
    found = connection.execute(f"SELECT 1 FROM outbox WHERE device = ? AND {_BATCH} = ?", (device, batch))
    return found.fetchone() is not None


def remove(connection: sqlite3.Connection, device: int, batch: bytes) -> bool:
    """Delete a batch that was delivered or finally refused; return False if another process has deleted it."""
    return connection.execute(f"DELETE FROM outbox WHERE device = ? AND {_BATCH} = ?", (device, batch)).rowcount > 0


def drop(connection: sqlite3.Connection, device: int, batches: Iterable[Waiting]) -> None:
    """Delete those of the batches that can no longer be sent, and count their reports; within a transaction."""
    for batch in batches:
        if batch.lost and remove(connection, device, batch.batch):
            counters.add(connection, device, batch.lost, batch.reports)
