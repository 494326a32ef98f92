"""The cohorts of devices, as the app stated them last: everything about a customer that is sent in the clear."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping

from hushtally.client_sdk.state.facts import in_list


def find_all(connection: sqlite3.Connection, devices: Iterable[int]) -> dict[int, str]:
    """Return the cohort of each device that has one, as JSON."""
    rows = connection.execute(
        f"SELECT device, cohort FROM devices WHERE cohort IS NOT NULL AND device IN {in_list(devices)}"
    )
    return dict(rows.fetchall())


def store(connection: sqlite3.Connection, device: int, cohort: Mapping[str, str]) -> None:
    """Store the cohort of a device."""
    connection.execute("UPDATE devices SET cohort = ? WHERE device = ?", (json.dumps(cohort, sort_keys=True), device))


def decode(stored: str) -> dict[str, str]:
    """Return the cohort. Raises ValueError if it is damaged."""
    cohort = json.loads(stored)
    if not isinstance(cohort, dict):
        raise ValueError("not a cohort")
    return cohort
