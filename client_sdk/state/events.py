"""The table of events: only names and fields that a survey uses, and only for as long as a survey needs them."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date
from typing import TypeAlias

from hushtally.client_sdk.state import counters, erasure
from hushtally.client_sdk.state.counters import Fate
from hushtally.client_sdk.survey.signals import Event
from hushtally.client_sdk.survey.vocabulary import EventVocabulary, storable

MAX_EVENTS = 10_000  # of one name on one device, so that a frequent event does not push out a rare one

# a damaged file may hold any type in any column; every value can be read as bytes
_NAME = "coalesce(CAST(name AS BLOB), x'')"
_DAY = "coalesce(CAST(day AS INTEGER), 0)"  # an event without a readable day counts as old
_EXPIRES = "coalesce(CAST(expires AS INTEGER), 0)"

Recorded: TypeAlias = tuple[date, str, dict[str, float | str]]  # the day, the name and the fields of an event


def add(connection: sqlite3.Connection, device: int, recorded: Iterable[Recorded], vocabulary: EventVocabulary) -> None:
    """Store events, each with the day on which it is deleted at the latest.

    vocabulary: of the surveys that are agreed to now. A survey that looks back longer later does not extend the day.
    """
    connection.executemany(
        "INSERT INTO events(device, day, expires, name, fields) VALUES (?, ?, ?, ?, ?)",
        [
            (device, day.toordinal(), day.toordinal() + vocabulary.days(name), name, json.dumps(fields))
            for day, name, fields in recorded
        ],
    )


def trim(connection: sqlite3.Connection, device: int) -> int:
    """Delete the oldest events of every name that has more than MAX_EVENTS; return how many were deleted."""
    trimmed = connection.execute(
        "DELETE FROM events WHERE id IN (SELECT id FROM (SELECT id, row_number()"
        " OVER (PARTITION BY name ORDER BY id DESC) AS place FROM events WHERE device = ?) WHERE place > ?)",
        (device, MAX_EVENTS),
    ).rowcount
    if trimmed:
        erasure.request(connection)
    return trimmed


def find(connection: sqlite3.Connection, device: int) -> list[Event]:
    """Return the last MAX_EVENTS events of each name in the order in which they were recorded.

    Deletes and counts damaged ones; within a transaction.
    """
    found, damaged = [], []
    rows = connection.execute(
        f"SELECT id, {_NAME}, {_DAY}, coalesce(CAST(fields AS BLOB), x'') FROM events WHERE device = ? ORDER BY id",
        (device,),
    )
    for id, name, day, fields in rows:
        try:
            found.append(Event(name.decode(), date.fromordinal(day), _decode(fields)))
        except (ValueError, OverflowError, RecursionError):
            damaged.append((id,))
    if damaged:
        connection.executemany("DELETE FROM events WHERE id = ?", damaged)
        counters.add(connection, device, Fate.DAMAGED_EVENT, len(damaged))
        erasure.request(connection)
    return _last(found)


def _last(found: list[Event]) -> list[Event]:
    """The last MAX_EVENTS events of each name: `trim` deletes older ones only now and then."""
    surplus = {name: count - MAX_EVENTS for name, count in Counter(event.name for event in found).items()}
    last = []
    for event in found:
        surplus[event.name] -= 1
        if surplus[event.name] < 0:
            last.append(event)
    return last


def _decode(stored: bytes) -> dict[str, float | str]:
    fields = json.loads(stored.decode())
    if not isinstance(fields, dict) or any(storable(value) is None for value in fields.values()):
        raise ValueError("not the fields of an event")
    return fields


def expired(
    connection: sqlite3.Connection, device: int, today: date, days_needed: Callable[[str], int]
) -> list[tuple[bytes, int]]:
    """Return the names that have expired events, each with the last day (ordinal) that no survey needs.

    days_needed: for how many days, today included, events of a name are needed; 0 for none.
    """
    oldest = connection.execute(
        f"SELECT {_NAME} AS name_read, min({_DAY}), min({_EXPIRES}) FROM events WHERE device = ? GROUP BY name_read",
        (device,),
    )
    found = []
    for name, day, expires in oldest:
        last = today.toordinal() - days_needed(name.decode(errors="replace"))
        if day <= last or expires <= today.toordinal():
            found.append((name, last))
    return found


def prune(connection: sqlite3.Connection, device: int, today: date, days_needed: Callable[[str], int]) -> None:
    """Delete the events that no survey needs any more, and those whose day of deletion has come."""
    for name, last in expired(connection, device, today, days_needed):
        connection.execute(
            f"DELETE FROM events WHERE device = ? AND {_NAME} = ? AND ({_DAY} <= ? OR {_EXPIRES} <= ?)",
            (device, name, last, today.toordinal()),
        )
        erasure.request(connection)
