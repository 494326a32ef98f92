"""The events a device keeps: only those, and of them only the fields, that a survey names, and only while needed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable
from datetime import date
from typing import TypeAlias

from hushtally.client_sdk.state import counters, erasure
from hushtally.client_sdk.state.counters import Fate
from hushtally.client_sdk.survey.signals import Event
from hushtally.client_sdk.survey.vocabulary import (
    EventVocabulary,
    storable,
)

MOST_EVENTS = 10_000  # of one name on one device: a frequent event must not push out a rare one

# whatever a damaged file holds can be read as bytes
_NAME = "coalesce(CAST(name AS BLOB), x'')"
_DAY = "coalesce(CAST(day AS INTEGER), 0)"  # what has no day is as old as can be
_GOES = "coalesce(CAST(goes AS INTEGER), 0)"

Recorded: TypeAlias = tuple[date, str, dict[str, float | str]]  # the day, the name and the fields of an event


def add(connection: sqlite3.Connection, device: int, recorded: Iterable[Recorded], named: EventVocabulary) -> None:
    """Keeps events, each with the day on which it goes at the latest, by what was agreed to when it was recorded."""
    connection.executemany(
        "INSERT INTO events(device, day, goes, name, fields) VALUES (?, ?, ?, ?, ?)",
        [
            (device, day.toordinal(), day.toordinal() + named.days(name), name, json.dumps(fields))
            for day, name, fields in recorded
        ],
    )


def trim(connection: sqlite3.Connection, device: int) -> int:
    """Deletes the oldest events of each name of which there are too many; returns how many went."""
    trimmed = connection.execute(
        "DELETE FROM events WHERE id IN (SELECT id FROM (SELECT id, row_number()"
        " OVER (PARTITION BY name ORDER BY id DESC) AS place FROM events WHERE device = ?) WHERE place > ?)",
        (device, MOST_EVENTS),
    ).rowcount
    if trimmed:
        erasure.due(connection)
    return trimmed


def find(connection: sqlite3.Connection, device: int) -> list[Event]:
    """The device's events in the order in which they were recorded; damaged ones go, and are counted.

    Within a transaction.
    """
    found, damaged = [], []
    rows = connection.execute(
        f"SELECT id, {_NAME}, {_DAY}, coalesce(CAST(fields AS BLOB), x'') FROM events WHERE device = ? ORDER BY id",
        (device,),
    )
    for id, name, day, fields in rows:
        try:
            found.append(Event(name.decode(), date.fromordinal(day), _fields(fields)))
        except (ValueError, OverflowError, RecursionError):
            damaged.append((id,))
    if damaged:
        connection.executemany("DELETE FROM events WHERE id = ?", damaged)
        counters.add(connection, device, Fate.DAMAGED_EVENT, len(damaged))
        erasure.due(connection)
    return found


def _fields(written: bytes) -> dict[str, float | str]:
    fields = json.loads(written.decode())
    if not isinstance(fields, dict) or any(storable(value) is None for value in fields.values()):
        raise ValueError("not the fields of an event")
    return fields


def outdated(
    connection: sqlite3.Connection, device: int, today: date, longest: Callable[[str], int]
) -> list[tuple[bytes, int]]:
    """The names that have something to prune, each with the last day to go whatever it was recorded for.

    longest: for how many days, today included, events of a name may be of use, 0 for none.
    """
    oldest = connection.execute(
        f"SELECT {_NAME} AS name_read, min({_DAY}), min({_GOES}) FROM events WHERE device = ? GROUP BY name_read",
        (device,),
    )
    found = []
    for name, day, goes in oldest:
        last = today.toordinal() - longest(name.decode(errors="replace"))
        if day <= last or goes <= today.toordinal():
            found.append((name, last))
    return found


def prune(connection: sqlite3.Connection, device: int, today: date, longest: Callable[[str], int]) -> None:
    """Deletes the events past the window that was agreed to when they were recorded, or that are of no use any more."""
    for name, last in outdated(connection, device, today, longest):
        connection.execute(
            f"DELETE FROM events WHERE device = ? AND {_NAME} = ? AND ({_DAY} <= ? OR {_GOES} <= ?)",
            (device, name, last, today.toordinal()),
        )
        erasure.due(connection)
