"""Consent: one standing answer per survey, bound to the version and digest that were shown."""

from __future__ import annotations

import sqlite3
from datetime import date

from client_sdk.survey import Survey


def granted(connection: sqlite3.Connection, device: int, survey: Survey) -> bool:
    """Whether this device has agreed to exactly this survey."""
    row = connection.execute(
        "SELECT granted FROM consents WHERE device = ? AND survey = ? AND digest = ?",
        (device, survey.id, survey.digest),
    ).fetchone()
    return row is not None and row[0] == 1


def grant(connection: sqlite3.Connection, device: int, survey: Survey, today: date) -> None:
    """Notes that the device agrees from today on."""
    _note(connection, device, survey, True, today)


def withdraw(connection: sqlite3.Connection, device: int, survey: Survey, today: date) -> None:
    """Notes that the device agrees no longer, and deletes all that it held but what it has spent."""
    _note(connection, device, survey, False, today)
    connection.execute("DELETE FROM answers WHERE device = ? AND digest = ?", (device, survey.digest))
    connection.execute("DELETE FROM outbox WHERE device = ? AND digest = ?", (device, survey.digest))
    connection.execute("DELETE FROM events WHERE device = ?", (device,))


def _note(connection: sqlite3.Connection, device: int, survey: Survey, agrees: bool, today: date) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO consents VALUES (?, ?, ?, ?, ?, ?)",
        (device, survey.id, survey.version, survey.digest, int(agrees), today.toordinal()),
    )
