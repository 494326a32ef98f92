"""Consent: one standing answer per survey, with a receipt of when it was given and which text was shown."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from hushtally.client_sdk.survey import Survey


@dataclass(frozen=True)
class Receipt:
    """The customer's standing answer to a survey: to which version and digest, when, and on which text."""

    survey: str
    version: int
    digest: str
    granted: bool
    at: str
    shown: str | None


class Consent(NamedTuple):
    """What a device said about a survey: in which version and digest, whether it agreed, and when (ISO 8601)."""

    version: int
    digest: str
    granted: bool
    at: str


def receipt(connection: sqlite3.Connection, device: int, survey: Survey) -> Receipt | None:
    """The device's standing answer to any version of the survey, if it ever gave one."""
    row = connection.execute(
        "SELECT survey, version, digest, granted, at, text FROM consents LEFT JOIN texts ON shown = hash"
        " WHERE device = ? AND survey = ?",
        (device, survey.id),
    ).fetchone()
    return None if row is None else Receipt(row[0], row[1], row[2], bool(row[3]), row[4], row[5])


def find_all(connection: sqlite3.Connection, device: int) -> dict[str, Consent]:
    """Return everything that the device said, by id of the survey."""
    rows = connection.execute("SELECT survey, version, digest, granted, at FROM consents WHERE device = ?", (device,))
    return {survey: Consent(version, digest, bool(granted), at) for survey, version, digest, granted, at in rows}


def grant(connection: sqlite3.Connection, device: int, survey: Survey, now: datetime, shown: str) -> None:
    """Notes that the device agrees, having been shown this text; the first receipt for a digest stays."""
    agreed = connection.execute(
        "SELECT 1 FROM consents WHERE device = ? AND survey = ? AND digest = ? AND granted",
        (device, survey.id, survey.digest),
    ).fetchone()
    if agreed:
        return
    before = _texts(connection, device)
    # the same text for every device of the file: it is kept once
    hashed = hashlib.sha256(shown.encode()).hexdigest()
    connection.execute("INSERT OR IGNORE INTO texts VALUES (?, ?)", (hashed, shown))
    _note(connection, device, survey, True, now, hashed)
    _drop(connection, before)


def withdrawals(connection: sqlite3.Connection, device: int) -> int:
    """How often the device withdrew: what was recorded under another number was recorded under another consent."""
    (number,) = connection.execute("SELECT withdrawals FROM devices WHERE device = ?", (device,)).fetchone()
    return int(number)


def withdraw(connection: sqlite3.Connection, device: int, surveys: Iterable[Survey], now: datetime) -> None:
    """Notes that the device agrees no longer to anything, and deletes all that it held but the facts and the ledger.

    That goes for every survey that it ever agreed to, also those that the app no longer has.
    """
    texts = _texts(connection, device)
    connection.execute("UPDATE devices SET withdrawals = withdrawals + 1 WHERE device = ?", (device,))
    for survey in surveys:
        _note(connection, device, survey, False, now, None)
    connection.execute(
        "UPDATE consents SET granted = 0, at = ?, shown = NULL WHERE device = ? AND granted", (_time(now), device)
    )
    for table in ("events", "answers", "outbox", "counters"):
        connection.execute(f"DELETE FROM {table} WHERE device = ?", (device,))
    _drop(connection, texts)


def _note(
    connection: sqlite3.Connection, device: int, survey: Survey, agrees: bool, now: datetime, shown: str | None
) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO consents VALUES (?, ?, ?, ?, ?, ?, ?)",
        (device, survey.id, survey.version, survey.digest, int(agrees), _time(now), shown),
    )


def _time(now: datetime) -> str:
    return now.isoformat(timespec="seconds")


def _texts(connection: sqlite3.Connection, device: int) -> list[str]:
    rows = connection.execute("SELECT shown FROM consents WHERE device = ? AND shown IS NOT NULL", (device,))
    return [shown for (shown,) in rows]


def _drop(connection: sqlite3.Connection, texts: Iterable[str]) -> None:
    """Deletes those texts that no receipt mentions any more."""
    for hashed in texts:
        connection.execute(
            "DELETE FROM texts WHERE hash = ? AND NOT EXISTS (SELECT 1 FROM consents WHERE shown = ?)", (hashed, hashed)
        )
