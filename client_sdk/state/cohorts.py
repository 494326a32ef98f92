"""The table of cohorts: the values that a device reports, as the app gave them with the last consent or event."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from hushtally.client_sdk.state.counters import Fate
from hushtally.client_sdk.survey import Survey


def find_all(connection: sqlite3.Connection, devices: str) -> Iterator[tuple[int, str, str]]:
    """Return the device, the name of the cohort and the stored value of each row; devices: see `facts.in_list`."""
    rows = connection.execute(
        f"SELECT device, name, value FROM cohorts WHERE device IN {devices} ORDER BY device, name"
    )
    return iter(rows)


def store_all(
    connection: sqlite3.Connection, given: Iterable[tuple[int, Mapping[str, str], Mapping[str, str]]]
) -> Counter[tuple[int, Fate]]:
    """Store the values that the app gave with a consent or an event; count each device whose stored value changes.

    given: devices, each with its stored values and the new ones.
    """
    counts: Counter[tuple[int, Fate]] = Counter()
    rows = []
    for device, stored, new in given:
        different = {name: value for name, value in new.items() if stored.get(name) != value}
        rows += [(device, name, value) for name, value in different.items()]
        if different.keys() & stored.keys():
            counts[device, Fate.COHORT_CHANGED] += 1
    if rows:
        connection.executemany("INSERT OR REPLACE INTO cohorts VALUES (?, ?, ?)", rows)
    return counts


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


def erase(connection: sqlite3.Connection, devices: Iterable[int]) -> None:
    """Delete the stored values, when no survey needs them any more."""
    connection.executemany("DELETE FROM cohorts WHERE device = ?", [(device,) for device in devices])
