"""The table of events: only names and fields that a survey uses, and only for as long as a survey needs them."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from itertools import groupby
from operator import itemgetter
from typing import TypeAlias

from hushtally.client_sdk.state import erasure
from hushtally.client_sdk.state.counters import Fate
from hushtally.client_sdk.state.facts import in_list
from hushtally.client_sdk.survey.signals import Event
from hushtally.client_sdk.survey.vocabulary import EventVocabulary, storable

MAX_EVENTS = 10_000  # of one name on one device, so that a frequent event does not push out a rare one

# a damaged file may hold any type in any column; every value can be read as bytes
_NAME = "coalesce(CAST(name AS BLOB), x'')"
_DAY = "coalesce(CAST(day AS INTEGER), 0)"  # an event without a readable day counts as old
_EXPIRES = "coalesce(CAST(expires AS INTEGER), 0)"

Recorded: TypeAlias = tuple[date, str, dict[str, float | str]]  # the day, the name and the fields of an event


def add_all(connection: sqlite3.Connection, recorded: Iterable[tuple[int, Recorded, EventVocabulary]]) -> None:
    """Store events of several devices, each with the day on which it is deleted at the latest.

    recorded: the device, the event, and the vocabulary of the surveys that the device agrees to now. A survey that
    looks back longer later does not extend the day.
    """
    connection.executemany(
        "INSERT INTO events(device, day, expires, name, fields) VALUES (?, ?, ?, ?, ?)",
        [
            (device, day.toordinal(), day.toordinal() + vocabulary.days(name), name, json.dumps(fields))
            for device, (day, name, fields), vocabulary in recorded
        ],
    )


def trim(connection: sqlite3.Connection, devices: Iterable[int]) -> dict[tuple[int, Fate], int]:
    """Delete the oldest events of a name if a device has more than MAX_EVENTS of it; return how many."""
    surplus = connection.execute(
        "SELECT id, device FROM (SELECT id, device, row_number() OVER (PARTITION BY device, name ORDER BY id DESC)"
        f" AS place FROM events WHERE device IN {in_list(devices)}) WHERE place > ?",
        (MAX_EVENTS,),
    ).fetchall()
    if surplus:
        connection.executemany("DELETE FROM events WHERE id = ?", [(id,) for id, _ in surplus])
        erasure.request(connection)
    return Counter((device, Fate.TOO_MANY_EVENTS) for _, device in surplus)


class Histories:
    """The events of several devices, read one device after the other, so that memory is bounded by one device."""

    def __init__(self, connection: sqlite3.Connection, devices: Iterable[int]) -> None:
        """devices: in ascending order. The connection must not be used by others until the last history is read."""
        rows = connection.execute(
            f"SELECT device, id, {_NAME}, {_DAY}, coalesce(CAST(fields AS BLOB), x'') FROM events"
            f" WHERE device IN {in_list(devices)} ORDER BY device, id"
        )
        self._groups = groupby(rows, key=itemgetter(0))
        self._next = next(self._groups, None)
        self._damaged: list[tuple[int, int]] = []  # id and device

    def of(self, device: int) -> list[Event]:
        """Return the device's events in the order in which they were recorded. Ask for devices in ascending order."""
        while self._next is not None and self._next[0] < device:
            self._next = next(self._groups, None)
        if self._next is None or self._next[0] != device:
            return []
        found = []
        for _, id, name, day, fields in self._next[1]:
            try:
                found.append(Event(name.decode(), date.fromordinal(day), _decode(fields)))
            except (ValueError, OverflowError, RecursionError):
                self._damaged.append((id, device))
        return _last(found)

    def delete_damaged(self, connection: sqlite3.Connection) -> dict[tuple[int, Fate], int]:
        """Delete the damaged events that were found; return how many each device had."""
        if self._damaged:
            connection.executemany("DELETE FROM events WHERE id = ?", [(id,) for id, _ in self._damaged])
            erasure.request(connection)
        return Counter((device, Fate.DAMAGED_EVENT) for _, device in self._damaged)


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


def with_events(connection: sqlite3.Connection, after: int, most: int) -> list[int]:
    """Return the next devices, in ascending order, that have events: at most `most`, with numbers above `after`."""
    query = "SELECT DISTINCT device FROM events WHERE device > ? ORDER BY device LIMIT ?"
    return [device for (device,) in connection.execute(query, (after, most))]


def expired(
    connection: sqlite3.Connection, days_needed: Mapping[int, Callable[[str], int]], today: date
) -> list[tuple[int, bytes, int]]:
    """Return the devices and names that have expired events, each with the last day (ordinal) that no survey needs.

    days_needed: by device, for how many days, today included, events of a name are needed; 0 for none.
    """
    oldest = connection.execute(
        f"SELECT device, {_NAME} AS name_read, min({_DAY}), min({_EXPIRES}) FROM events"
        f" WHERE device IN {in_list(days_needed)} GROUP BY device, name_read"
    )
    found = []
    for device, name, day, expires in oldest:
        last = today.toordinal() - days_needed[device](name.decode(errors="replace"))
        if day <= last or expires <= today.toordinal():
            found.append((device, name, last))
    return found


def prune(connection: sqlite3.Connection, days_needed: Mapping[int, Callable[[str], int]], today: date) -> None:
    """Delete the events that no survey needs any more, and those whose day of deletion has come."""
    found = expired(connection, days_needed, today)
    if found:
        connection.executemany(
            f"DELETE FROM events WHERE device = ? AND {_NAME} = ? AND ({_DAY} <= ? OR {_EXPIRES} <= ?)",
            [(device, name, last, today.toordinal()) for device, name, last in found],
        )
        erasure.request(connection)
