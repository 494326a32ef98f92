"""Consent: one standing answer per survey, with a receipt of when it was given and which text was shown."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime

from client_sdk.survey import Survey


@dataclass(frozen=True)
class Receipt:
    """The customer's standing answer to a survey: to which version and digest, when, and on which text."""

    survey: str
    version: int
    digest: str
    granted: bool
    at: str
    shown: str | None


def receipt(connection: sqlite3.Connection, device: int, survey: Survey) -> Receipt | None:
    """The device's standing answer to any version of the survey, if it ever gave one."""
    row = connection.execute(
        "SELECT survey, version, digest, granted, at, shown FROM consents WHERE device = ? AND survey = ?",
        (device, survey.id),
    ).fetchone()
    return None if row is None else Receipt(row[0], row[1], row[2], bool(row[3]), row[4], row[5])


def granted(connection: sqlite3.Connection, device: int, survey: Survey, keep: bool) -> bool:
    """Whether the device agrees to exactly this survey; with `keep`, to any version of it."""
    found = receipt(connection, device, survey)
    return found is not None and found.granted and (keep or found.digest == survey.digest)


def grant(connection: sqlite3.Connection, device: int, survey: Survey, now: datetime, shown: str) -> None:
    """Notes that the device agrees, having been shown this text."""
    _note(connection, device, survey, True, now, shown)


def withdraw(connection: sqlite3.Connection, device: int, survey: Survey, now: datetime) -> None:
    """Notes that the device agrees no longer, and deletes all that it held but what it has spent."""
    _note(connection, device, survey, False, now, None)
    connection.execute(
        "DELETE FROM answers WHERE device = ? AND digest IN (SELECT digest FROM schedules WHERE survey = ?)",
        (device, survey.id),
    )
    connection.execute(
        "DELETE FROM outbox WHERE device = ? AND digest IN (SELECT digest FROM schedules WHERE survey = ?)",
        (device, survey.id),
    )
    connection.execute("DELETE FROM events WHERE device = ?", (device,))


def _note(
    connection: sqlite3.Connection, device: int, survey: Survey, agrees: bool, now: datetime, shown: str | None
) -> None:
    at = now.isoformat(timespec="seconds")
    connection.execute(
        "INSERT OR REPLACE INTO consents VALUES (?, ?, ?, ?, ?, ?, ?)",
        (device, survey.id, survey.version, survey.digest, int(agrees), at, shown),
    )
