"""The events a device keeps: only those, and of them only the fields, that a survey names, and only while needed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable
from datetime import date
from functools import lru_cache
from numbers import Complex, Number, Real
from typing import TypeAlias

from client_sdk import counters, erasure
from client_sdk.signals import Event, Function
from client_sdk.survey import Survey

MOST_EVENTS = 10_000  # of one name on one device: a frequent event must not push out a rare one
LONGEST_TEXT = 100
LARGEST_NUMBER = 1e12
REQUIREMENT = f"must be a number within 10^12 or a text of at most {LONGEST_TEXT} characters"
SUMMED = "must be a number, as a survey sums it"
BOOL = f"{REQUIREMENT} (for a bool pass 1 or 0)"

DAMAGED = "dropped: damaged events"
# whatever a damaged file holds can be read as bytes
_NAME = "coalesce(CAST(name AS BLOB), x'')"
_DAY = "coalesce(CAST(day AS INTEGER), 0)"  # what has no day is as old as can be
_GOES = "coalesce(CAST(goes AS INTEGER), 0)"

Recorded: TypeAlias = tuple[date, str, dict[str, float | str]]  # the day, the name and the fields of an event


class Named:
    """Which events and fields the surveys name; all others are dropped unread."""

    def __init__(self, surveys: Iterable[Survey]) -> None:
        self._fields: dict[str, set[str]] = {}
        self._summed: set[tuple[str, str | None]] = set()
        self._days: dict[str, int] = {}
        for survey in surveys:
            for signal in survey.signals.values():
                self._days[signal.event] = max(signal.days, self._days.get(signal.event, 0))
                fields = self._fields.setdefault(signal.event, set())
                if signal.field is not None:
                    fields.add(signal.field)
                if signal.function is Function.SUM:
                    self._summed.add((signal.event, signal.field))

    @classmethod
    def of(cls, surveys: Iterable[Survey]) -> Named:
        """The same object for the same surveys: a kiosk opens one client after the other."""
        return _named(tuple(surveys))

    @property
    def events(self) -> list[str]:
        """The names of all events that a survey counts."""
        return sorted(self._fields)

    def event(self, name: str) -> bool:
        """Whether a survey counts this event."""
        return name in self._fields

    def fields(self, event: str) -> list[str]:
        """The names of all fields of the event that a survey looks at."""
        return sorted(self._fields[event])

    def days(self, event: str) -> int:
        """For how many days, today included, a survey looks back at this event; 0 if none does."""
        return self._days.get(event, 0)

    def field(self, event: str, field: str) -> bool:
        """Whether a survey looks at this field of the event."""
        return field in self._fields[event]

    def unusable(self, event: str, field: str, value: object) -> str | None:
        """What is required of the field's value, if it cannot be kept; see `kept`. A sum takes numbers alone."""
        if kept(value) is None:
            return BOOL if type(value) is bool else REQUIREMENT
        return SUMMED if isinstance(value, str) and (event, field) in self._summed else None


@lru_cache(maxsize=64)
def _named(surveys: tuple[Survey, ...]) -> Named:
    return Named(surveys)


def kept(value: object) -> float | str | None:
    """A field's value as it is kept: a number within 10^12 or a text of at most 100 characters; None if it is neither.

    A Decimal, a Fraction and the numbers of numpy are kept as floats. Never raises, whatever the app hands over.
    """
    try:
        if isinstance(value, str):
            return value if len(value) <= LONGEST_TEXT else None
        # `int | float` would take longer than the rest
        number = value if isinstance(value, (int, float)) and not isinstance(value, bool) else _float(value)
        return number if number is not None and abs(number) <= LARGEST_NUMBER else None
    except Exception:  # of a number that is none, as Decimal("sNaN"), or of a proxy without its object
        return None


def _float(value: object) -> float | None:
    """A number of another type as a float; a Decimal is a Number and nothing else."""
    real = isinstance(value, Real) or (isinstance(value, Number) and not isinstance(value, Complex))
    return float(value) if real and not isinstance(value, bool) else None  # type: ignore[arg-type]


def add(connection: sqlite3.Connection, device: int, recorded: Iterable[Recorded], named: Named) -> None:
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
        counters.add(connection, device, DAMAGED, len(damaged))
        erasure.due(connection)
    return found


def _fields(written: bytes) -> dict[str, float | str]:
    fields = json.loads(written.decode())
    if not isinstance(fields, dict) or any(kept(value) is None for value in fields.values()):
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
