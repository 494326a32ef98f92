"""The outbox: reports that wait to be delivered, and the batches in which they are sent.

The reports of one device and epoch are one row, with a random id. They are sent alone, as a batch with this id, or in a
batch that a gateway mixes from the reports of many devices. A batch never changes: every retry sends the same bytes.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from typing import NamedTuple

from hushtally.client_sdk.errors import BatchError
from hushtally.client_sdk.protocol.report import MAX_BYTES, MAX_REPORTS, Batch, Report
from hushtally.client_sdk.randomness import Randomness
from hushtally.client_sdk.state.counters import Fate
from hushtally.client_sdk.survey import Survey

# every value of a damaged file can be read as bytes; an expression does not use the index, which may be damaged too
_BATCH = "coalesce(CAST(batch AS BLOB), x'')"
_BODY = "coalesce(CAST(body AS BLOB), x'')"
_LATE = "coalesce(CAST(expires AS INTEGER), 0) < :today"
_MIXED = "sent_in = CAST(? AS TEXT) AND sent_in IS NOT NULL AND sent_in <> batch"  # the condition of the index
_SOUND = "typeof(device) = 'integer'"
_LOOSE = f"FROM outbox WHERE due <= ? AND sent_in IS NULL AND {_SOUND} AND digest NOT IN (SELECT digest FROM mixes)"
_IN_EVERY_REPORT = (b'"cohort":{', b'},"epoch":"')  # once in each report, whatever its cohorts are called


MAX_OWN_BATCHES = 100  # of single devices that a gateway reads at once


class Entry(NamedTuple):
    """A row of the outbox. sent_in: the id of the batch that contains the reports; None if they are in no batch."""

    device: int
    batch: str
    digest: str
    due: float
    expires: int
    sent_in: str | None
    body: bytes


@dataclass(frozen=True)
class Waiting:
    """A batch in the outbox.

    device: whose reports it contains; None for a mixed batch. batch: its id. body: the bytes to send. lost: the counter
    for its reports if it can no longer be sent, else None.
    """

    device: int | None
    batch: bytes
    body: bytes
    lost: Fate | None


@dataclass(frozen=True)
class Due:
    """What is due: batches in the order of their random ids, and whether there are reports that are in no batch yet."""

    batches: list[Waiting]
    loose: bool

    def __bool__(self) -> bool:
        return bool(self.batches) or self.loose


def count_reports(body: bytes) -> int:
    """Return the number of reports in a body; an estimate, at least 1, if it cannot be decoded."""
    return max(1, *(body.count(mark) for mark in _IN_EVERY_REPORT))


def moment(survey: Survey, now: datetime, randomness: Randomness) -> float:
    """Draw when to send an answer that was made now; return seconds since 1970.

    The moment is uniform in the rest of the epoch, so that it reveals nothing about the customer. A collector accepts
    reports of an epoch until the end of the next one.
    """
    ends = datetime.combine(survey.epoch.next(now.date()), time(), UTC).timestamp()
    return now.timestamp() + randomness.below(max(int(ends - now.timestamp()), 1))


def random_id(randomness: Randomness) -> str:
    """Draw the id of a batch."""
    return f"{randomness.word():016x}{randomness.word():016x}"


def entry(
    device: int, survey: Survey, reports: Sequence[Report], due: float, randomness: Randomness, *, alone: bool
) -> Entry:
    """Return the row for these reports of one epoch. It expires when reports of the epoch are no longer accepted.

    alone: the reports are sent as a batch of their own. The outbox is bounded: at most one row per survey and answering
    epoch waits, and none longer than two epochs.
    """
    batch = Batch(random_id(randomness), survey.id, survey.version, survey.digest, tuple(reports))
    last = survey.epoch.end(survey.epoch.next(survey.epoch.first_day(reports[0].epoch)))
    sent_in = batch.id if alone else None
    return Entry(device, batch.id, survey.digest, due, last.toordinal(), sent_in, batch.encode())


def put_all(connection: sqlite3.Connection, entries: Iterable[Entry]) -> None:
    """Add rows."""
    columns = ", ".join(Entry._fields)  # in a file of an older version, the order of the columns differs
    connection.executemany(f"INSERT INTO outbox({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", entries)


def waiting(connection: sqlite3.Connection, device: int) -> list[bytes]:
    """Return the ids of the batches of all reports of the device, due or not."""
    rows = connection.execute(
        f"SELECT coalesce(CAST(sent_in AS BLOB), {_BATCH}) FROM outbox WHERE device = ?", (device,)
    )
    return [batch for (batch,) in rows]


def erase(connection: sqlite3.Connection, device: int) -> None:
    """Delete the device's reports.

    A mixed batch stays while it contains reports of other devices: its bytes may have arrived, so a retry must repeat
    them. Nothing connects the batch with the device any more.
    """
    mixes = connection.execute(
        "SELECT sent_in FROM outbox WHERE device = ? AND sent_in IS NOT NULL AND sent_in <> batch", (device,)
    ).fetchall()
    connection.execute("DELETE FROM outbox WHERE device = ?", (device,))
    connection.executemany(
        "DELETE FROM mixes WHERE batch = ?1 AND NOT EXISTS"
        " (SELECT 1 FROM outbox WHERE sent_in = ?1 AND sent_in IS NOT NULL AND sent_in <> batch)",
        mixes,
    )


def due(connection: sqlite3.Connection, device: int, now: datetime) -> Due:
    """Return the batches with reports of the device that are due or expired."""
    rows = connection.execute(
        f"SELECT {_BATCH} AS id, {_BODY}, {_LATE} AS late, CAST(sent_in AS BLOB) FROM outbox"
        " WHERE device = :device AND (late OR CAST(due AS REAL) <= :now) ORDER BY id",
        {"today": now.date().toordinal(), "device": device, "now": now.timestamp()},
    ).fetchall()
    batches, loose = [], False
    for batch, body, late, sent_in in rows:
        mixed = None if late or sent_in in (None, batch) else _find_mix(connection, sent_in)
        batches.append(mixed or Waiting(device, batch, body, Fate.EXPIRED if late else _damage(batch, body)))
        loose = loose or (sent_in is None and not batches[-1].lost)
    return Due(batches, loose)


def _find_mix(connection: sqlite3.Connection, batch: bytes) -> Waiting | None:
    found = connection.execute("SELECT body FROM mixes WHERE batch = CAST(? AS TEXT)", (batch,)).fetchone()
    return None if found is None else Waiting(None, batch, found[0], _damage(batch, found[0]))


def claim(connection: sqlite3.Connection, device: int, now: datetime) -> None:
    """Make every row of the device that is due a batch of its own, unless a gateway has mixed its reports."""
    connection.execute(
        "UPDATE outbox SET sent_in = batch WHERE device = ? AND due <= ? AND sent_in IS NULL", (device, now.timestamp())
    )


def holds(connection: sqlite3.Connection, batch: Waiting) -> bool:
    """Return whether the batch is still in the outbox, and the reports of a device are in no mixed batch."""
    if batch.device is None:
        found = connection.execute(f"SELECT 1 FROM mixes WHERE {_BATCH} = ?", (batch.batch,))
    else:
        found = connection.execute(
            f"SELECT 1 FROM outbox WHERE device = ? AND {_BATCH} = ? AND"
            " (sent_in IS NULL OR sent_in NOT IN (SELECT batch FROM mixes))",
            (batch.device, batch.batch),
        )
    return found.fetchone() is not None


def take(connection: sqlite3.Connection, batch: Waiting) -> list[tuple[int, bytes]]:
    """Delete a batch that was delivered or finally refused; return the device and the body of each of its rows.

    The list is empty if another process has deleted the batch.
    """
    if batch.device is not None:
        where = batch.device, batch.batch
        taken = connection.execute(f"DELETE FROM outbox WHERE device = ? AND {_BATCH} = ?", where).rowcount
        return [(batch.device, batch.body)] if taken else []
    rows = connection.execute(f"SELECT device, {_BODY} FROM outbox WHERE {_MIXED}", (batch.batch,)).fetchall()
    connection.execute(f"DELETE FROM outbox WHERE {_MIXED}", (batch.batch,))
    connection.execute(f"DELETE FROM mixes WHERE {_BATCH} = ?", (batch.batch,))
    return rows


def dissolve(connection: sqlite3.Connection, batch: Waiting) -> None:
    """Take a mixed batch apart that certainly never arrived, so that a withdrawal removes its report."""
    connection.execute(f"UPDATE outbox SET sent_in = NULL WHERE {_MIXED}", (batch.batch,))
    connection.execute(f"DELETE FROM mixes WHERE {_BATCH} = ?", (batch.batch,))


def drop(connection: sqlite3.Connection, batches: Iterable[Waiting]) -> Counter[tuple[int, Fate]]:
    """Delete those of the batches that can no longer be sent, and return how many reports each device lost."""
    counts: Counter[tuple[int, Fate]] = Counter()
    for batch in batches:
        if batch.lost:
            for device, body in take(connection, batch):
                counts[device, batch.lost] += count_reports(body)
    return counts


def _damage(batch: bytes, body: bytes) -> Fate | None:
    """Return the counter for a batch whose body is not what was stored; None for a sound batch."""
    return Fate.DAMAGED_REPORT if _decode(batch, body) is None else None


def _decode(batch: bytes, body: bytes) -> Batch | None:
    """Return the batch in a body; None if it is not what was stored under this id."""
    try:
        found = Batch.decode(body)
    except BatchError:
        return None
    return found if found.id.encode() == batch else None


# --- all devices of a file --------------------------------------------------------------------------------------------


def due_everywhere(connection: sqlite3.Connection, now: datetime, *, thorough: bool) -> Due:
    """Return the mixed batches, and some of the devices' own batches that are due.

    thorough: also search the whole outbox for rows that expired or have no readable day.
    """
    mixes = connection.execute(f"SELECT {_BATCH}, {_BODY} FROM mixes")
    found = [Waiting(None, batch, body, _damage(batch, body)) for batch, body in mixes]
    rows = connection.execute(
        f"SELECT device, {_BATCH}, {_BODY} FROM outbox WHERE due <= ? AND sent_in = batch AND {_SOUND} LIMIT ?",
        (now.timestamp(), MAX_OWN_BATCHES),
    )
    found += [Waiting(device, batch, body, _damage(batch, body)) for device, batch, body in rows]
    if thorough:
        late = connection.execute(
            f"SELECT device, {_BATCH}, {_BODY} FROM outbox WHERE {_LATE} AND {_SOUND} LIMIT :most",
            {"today": now.date().toordinal(), "most": MAX_REPORTS},
        )
        found += [Waiting(device, batch, body, Fate.EXPIRED) for device, batch, body in late]
    loose = connection.execute(f"SELECT 1 {_LOOSE} LIMIT 1", (now.timestamp(),)).fetchone() is not None
    return Due(sorted(found, key=lambda one: one.batch), loose)


def mix(
    connection: sqlite3.Connection, now: datetime, withdrawing: Collection[int], randomness: Randomness
) -> Counter[tuple[int, Fate]]:
    """Mix reports of many devices that are due into one batch with a new random id; in a durable transaction.

    All reports are of one survey and one epoch. They are sorted by their own content, so that their order reveals
    nothing. At most one mixed batch of a survey waits, so that few reports are in a batch that cannot change any more.
    Reports of devices that are withdrawing consent stay out. Damaged rows are deleted; returns how many reports each
    device lost.
    """
    counts: Counter[tuple[int, Fate]] = Counter()
    query = f"SELECT CAST(digest AS BLOB), expires {_LOOSE} LIMIT 1"
    first = connection.execute(query, (now.timestamp(),)).fetchone()
    if first is None:
        return counts
    digest, expires = first
    rows = connection.execute(
        f"SELECT device, {_BATCH}, {_BODY} FROM outbox WHERE due <= ? AND sent_in IS NULL"
        f" AND CAST(digest AS BLOB) = ? AND expires IS ? AND {_SOUND} LIMIT ?",
        (now.timestamp(), digest, expires, MAX_REPORTS),
    ).fetchall()
    mixed = random_id(randomness)
    head: Batch | None = None
    reports: list[Report] = []
    members: list[tuple[str, int, bytes]] = []
    frame = size = 0
    for device, batch, body in rows:
        if device in withdrawing:
            continue
        own = _decode(batch, body)
        if own is None or own.digest.encode() != digest:
            connection.execute(f"DELETE FROM outbox WHERE device = ? AND {_BATCH} = ?", (device, batch))
            counts[device, Fate.DAMAGED_REPORT] += count_reports(body)
            continue
        frame = frame or len(replace(own, reports=()).encode())  # without any report
        size += len(body) - frame + 1  # and a comma
        if members and (len(reports) + len(own.reports) > MAX_REPORTS or frame + size > MAX_BYTES):
            break
        head = own
        reports += own.reports
        members.append((mixed, device, batch))
    if head is not None:
        reports.sort(key=_content)
        body = replace(head, id=mixed, reports=tuple(reports)).encode()
        connection.execute("INSERT INTO mixes VALUES (?, ?, ?)", (mixed, head.digest, body))
        connection.executemany("UPDATE outbox SET sent_in = ? WHERE device = ? AND batch = CAST(? AS TEXT)", members)
    return counts


def drop_loose(connection: sqlite3.Connection) -> None:
    """Delete and count the reports that are in no batch yet, after a rollback: another copy may have sent them.

    Reports in a batch stay, because a collector counts a batch once, however often it arrives.
    """
    connection.execute(
        "INSERT INTO counters SELECT device, ?, count(*) FROM outbox WHERE sent_in IS NULL GROUP BY device"
        " ON CONFLICT DO UPDATE SET count = count + excluded.count",
        (Fate.ROLLED_BACK,),
    )
    connection.execute("DELETE FROM outbox WHERE sent_in IS NULL")


def _content(report: Report) -> tuple[object, ...]:
    return report.question, report.epoch, sorted(report.cohort.items()), report.symbol
