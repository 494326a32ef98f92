"""The table of cohorts: the values that a device reports, as the app gave them with the last consent or event."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from hushtally.client_sdk.state import counters
from hushtally.client_sdk.state.counters import Fate
from hushtally.client_sdk.survey import Survey


def find(connection: sqlite3.Connection, device: int) -> dict[str, str]:
    """Return the stored values by the name of the cohort."""
    return dict(connection.execute("SELECT name, value FROM cohorts WHERE device = ?", (device,)))


def store(connection: sqlite3.Connection, device: int, given: Mapping[str, str]) -> None:
    """Store the values that the app gave with a consent or an event; count it if a stored value changes."""
    stored = find(connection, device)
    different = {name: value for name, value in given.items() if stored.get(name) != value}
    connection.executemany(
        "INSERT OR REPLACE INTO cohorts VALUES (?, ?, ?)", [(device, name, value) for name, value in different.items()]
    )
    if different.keys() & stored.keys():
        counters.add(connection, device, Fate.COHORT_CHANGED)


def store_missing(connection: sqlite3.Connection, device: int, given: Mapping[str, str]) -> None:
    """Store the values of cohorts that have no stored value yet."""
    connection.executemany(
        "INSERT OR IGNORE INTO cohorts VALUES (?, ?, ?)", [(device, name, value) for name, value in given.items()]
    )


def in_force(survey: Survey, stored: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str] | None:
    """Return the cohort that the device reports; None if a value is unknown.

    A stored value comes first: a timer may know nothing about the customer. given: by the app, for the values that are
    not stored, or that the survey does not declare.
    """
    chosen = dict(given)
    for name, values in survey.cohorts.items():
        if stored.get(name) in values:
            chosen[name] = stored[name]
    return None if survey.cohort_problem(chosen) else chosen


def erase(connection: sqlite3.Connection, device: int) -> None:
    """Delete the stored values, when no survey needs them any more."""
    connection.execute("DELETE FROM cohorts WHERE device = ?", (device,))
