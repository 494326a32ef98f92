"""The table of consents: the customer's last decision about each survey, with a receipt."""

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
    """The customer's last decision about a survey.

    survey, version, digest: what the decision was about. granted: whether the customer agreed. at: when, in ISO 8601.
    shown: the text that the customer agreed to; None after a withdrawal.
    """

    survey: str
    version: int
    digest: str
    granted: bool
    at: str
    shown: str | None


class Consent(NamedTuple):
    """A decision without the text that was shown: see Receipt."""

    version: int
    digest: str
    granted: bool
    at: str


def receipt(connection: sqlite3.Connection, device: int, survey: Survey) -> Receipt | None:
    """Return the device's decision about any version of the survey; None if there is none."""
    row = connection.execute(
        "SELECT survey, version, digest, granted, at, text FROM consents LEFT JOIN texts ON shown = hash"
        " WHERE device = ? AND survey = ?",
        (device, survey.id),
    ).fetchone()
    return None if row is None else Receipt(row[0], row[1], row[2], bool(row[3]), row[4], row[5])


def find_all(connection: sqlite3.Connection, device: int) -> dict[str, Consent]:
    """Return all decisions of the device by id of the survey."""
    rows = connection.execute("SELECT survey, version, digest, granted, at FROM consents WHERE device = ?", (device,))
    return {survey: Consent(version, digest, bool(granted), at) for survey, version, digest, granted, at in rows}


def grant(connection: sqlite3.Connection, device: int, survey: Survey, now: datetime, shown: str) -> None:
    """Store that the device agrees, and the text that was shown. The first receipt for a digest stays."""
    agreed = connection.execute(
        "SELECT 1 FROM consents WHERE device = ? AND survey = ? AND digest = ? AND granted",
        (device, survey.id, survey.digest),
    ).fetchone()
    if agreed:
        return
    before = _shown_texts(connection, device)
    # many devices of a file are shown the same text; it is stored once
    text_hash = hashlib.sha256(shown.encode()).hexdigest()
    connection.execute("INSERT OR IGNORE INTO texts VALUES (?, ?)", (text_hash, shown))
    _store(connection, device, survey, True, now, text_hash)
    _delete_unused(connection, before)


def withdrawals(connection: sqlite3.Connection, device: int) -> int:
    """Return how often the device withdrew. An event belongs to the consent with the number it was recorded under."""
    (number,) = connection.execute("SELECT withdrawals FROM devices WHERE device = ?", (device,)).fetchone()
    return int(number)


def withdraw(connection: sqlite3.Connection, device: int, surveys: Iterable[Survey], now: datetime) -> None:
    """Store a withdrawal; delete everything of the device except its decisions, its schedules and its ledger.

    The withdrawal covers every survey that the device ever agreed to, also those that the app no longer has.
    """
    texts = _shown_texts(connection, device)
    connection.execute("UPDATE devices SET withdrawals = withdrawals + 1 WHERE device = ?", (device,))
    for survey in surveys:
        _store(connection, device, survey, False, now, None)
    connection.execute(
        "UPDATE consents SET granted = 0, at = ?, shown = NULL WHERE device = ? AND granted", (_iso(now), device)
    )
    for table in ("cohorts", "events", "answers", "outbox", "counters"):
        connection.execute(f"DELETE FROM {table} WHERE device = ?", (device,))
    _delete_unused(connection, texts)


def _store(
    connection: sqlite3.Connection, device: int, survey: Survey, granted: bool, now: datetime, shown: str | None
) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO consents VALUES (?, ?, ?, ?, ?, ?, ?)",
        (device, survey.id, survey.version, survey.digest, int(granted), _iso(now), shown),
    )


def _iso(now: datetime) -> str:
    return now.isoformat(timespec="seconds")


def _shown_texts(connection: sqlite3.Connection, device: int) -> list[str]:
    rows = connection.execute("SELECT shown FROM consents WHERE device = ? AND shown IS NOT NULL", (device,))
    return [text_hash for (text_hash,) in rows]


def _delete_unused(connection: sqlite3.Connection, texts: Iterable[str]) -> None:
    """Delete each of these texts that no receipt refers to any more."""
    for text_hash in texts:
        connection.execute(
            "DELETE FROM texts WHERE hash = ? AND NOT EXISTS (SELECT 1 FROM consents WHERE shown = ?)",
            (text_hash, text_hash),
        )
