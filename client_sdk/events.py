"""The events a device keeps: only those, and of them only the fields, that a survey names, and only while needed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from datetime import date

from client_sdk.signals import Event
from client_sdk.survey import Survey

LONGEST_TEXT = 100
LARGEST_NUMBER = 1e12


class Named:
    """Which events and fields the surveys name; all others are dropped unread."""

    def __init__(self, surveys: Iterable[Survey]) -> None:
        self._fields: dict[str, set[str]] = {}
        self.days = 1
        for survey in surveys:
            self.days = max(self.days, survey.longest_window)
            for signal in survey.signals.values():
                fields = self._fields.setdefault(signal.event, set())
                if signal.field is not None:
                    fields.add(signal.field)

    def event(self, name: str) -> bool:
        """Whether a survey counts this event."""
        return name in self._fields

    def field(self, event: str, field: str) -> bool:
        """Whether a survey looks at this field of the event."""
        return field in self._fields[event]


def usable(value: object) -> bool:
    """Whether a field's value can be kept: a number within 10^12 or a text of at most 100 characters."""
    if isinstance(value, bool):
        return False
    if isinstance(value, int | float):
        return abs(value) <= LARGEST_NUMBER
    return isinstance(value, str) and len(value) <= LONGEST_TEXT


def add(connection: sqlite3.Connection, device: int, day: date, name: str, fields: Mapping[str, object]) -> None:
    """Keeps an event with the day on which it happened; the time of day is not kept."""
    connection.execute(
        "INSERT INTO events(device, day, name, fields) VALUES (?, ?, ?, ?)",
        (device, day.toordinal(), name, json.dumps(fields)),
    )


def find(connection: sqlite3.Connection, device: int) -> list[Event]:
    """The device's events in the order in which they were recorded."""
    rows = connection.execute("SELECT name, day, fields FROM events WHERE device = ? ORDER BY id", (device,))
    return [Event(name, date.fromordinal(day), json.loads(fields)) for name, day, fields in rows]


def prune(connection: sqlite3.Connection, device: int, today: date, days: int) -> None:
    """Deletes the events that are older than the longest window of any survey."""
    connection.execute("DELETE FROM events WHERE device = ? AND day <= ?", (device, today.toordinal() - days))
