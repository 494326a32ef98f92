"""The outbox: batches that wait to be delivered, as the very bytes that every retry sends."""

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

# whatever a damaged file holds can be read as bytes, and is found although its index is out of order
_BATCH = "coalesce(CAST(batch AS BLOB), x'')"
_BODY = "coalesce(CAST(body AS BLOB), x'')"
_MARKS = (b'"cohort":{', b'},"epoch":"')  # once in every report, whatever its cohorts are called


@dataclass(frozen=True)
class Waiting:
    """A row of the outbox: its batch id, the body to send, and the counter that it ends in if it cannot be sent."""

    batch: bytes
    body: bytes
    lost: Fate | None

    @property
    def reports(self) -> int:
        """How many reports it holds, as far as that can be told where it can no longer be decoded."""
        return max(1, *(self.body.count(mark) for mark in _MARKS))


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
    today = now.date().toordinal()
    rows = connection.execute(
        f"SELECT {_BATCH}, {_BODY}, coalesce(CAST(expires AS INTEGER), 0) < ? AS late FROM outbox"
        " WHERE device = ? AND (late OR CAST(due AS REAL) <= ?) ORDER BY batch",
        (today, device, now.timestamp()),
    )
    return [Waiting(batch, body, Fate.EXPIRED if late else _damaged(batch, body)) for batch, body, late in rows]


def _damaged(batch: bytes, body: bytes) -> Fate | None:
    try:
        return None if Batch.decode(body).id.encode() == batch else Fate.DAMAGED_REPORT
    except BatchError:
        return Fate.DAMAGED_REPORT


def waiting(connection: sqlite3.Connection, device: int) -> list[bytes]:
    """The ids of the device's batches, whether their time has come or not."""
    return [batch for (batch,) in connection.execute(f"SELECT {_BATCH} FROM outbox WHERE device = ?", (device,))]


def holds(connection: sqlite3.Connection, device: int, batch: bytes) -> bool:
    """Whether a batch still waits."""
    found = connection.execute(f"SELECT 1 FROM outbox WHERE device = ? AND {_BATCH} = ?", (device, batch))
    return found.fetchone() is not None


def remove(connection: sqlite3.Connection, device: int, batch: bytes) -> bool:
    """Deletes a batch that was delivered or refused for good; False if another process already has."""
    return connection.execute(f"DELETE FROM outbox WHERE device = ? AND {_BATCH} = ?", (device, batch)).rowcount > 0


def drop(connection: sqlite3.Connection, device: int, lost: Iterable[Waiting]) -> None:
    """Deletes and counts the reports that cannot be sent. Within a transaction."""
    for one in lost:
        if one.lost and remove(connection, device, one.batch):
            counters.add(connection, device, one.lost, one.reports)
