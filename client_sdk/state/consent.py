"""The table of consents: the customer's last decision about each survey, with a receipt."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
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
    """A decision: a row of the table. shown: the hash of the text; see Receipt for the rest."""

    device: int
    survey: str
    version: int
    digest: str
    granted: int
    at: str
    shown: str | None


def receipt(connection: sqlite3.Connection, device: int, survey: Survey) -> Receipt | None:
    """Return the device's decision about any version of the survey; None if there is none."""
    row = connection.execute(
        "SELECT survey, version, digest, granted, at, text FROM consents LEFT JOIN texts ON shown = hash"
        " WHERE device = ? AND survey = ?",
        (device, survey.id),
    ).fetchone()
    return None if row is None else Receipt(row[0], row[1], row[2], bool(row[3]), row[4], row[5])


def find_all(connection: sqlite3.Connection, devices: str) -> Iterator[Consent]:
    """Return all decisions of these devices. devices: a list of SQL; see `facts.in_list`."""
    rows = connection.execute(f"SELECT * FROM consents WHERE device IN {devices} ORDER BY device, survey")
    return (Consent(*row) for row in rows)


def withdrawals(connection: sqlite3.Connection, device: int) -> int:
    """Return how often the device withdrew. An event belongs to the consent with the number it was recorded under."""
    (number,) = connection.execute("SELECT withdrawals FROM devices WHERE device = ?", (device,)).fetchone()
    return int(number)
