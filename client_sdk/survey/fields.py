"""Reading a table of a survey field by field, collecting every mistake with its place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import date, datetime
from typing import Any

from hushtally.client_sdk.error_text import did_you_mean, one_line, shown
from hushtally.client_sdk.errors import Problem

IDENTIFIER = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}", re.ASCII)
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)

LARGEST = 1e15  # of any number in a survey: every JSON reader keeps it exactly
EARLIEST, LATEST = date(2000, 1, 1), date(2999, 12, 31)  # of any day: what is reckoned from one is a date too
MOST_LEVELS = 16
MOST_PROBLEMS = 100

_REQUIRED = object()


def row_place(place: str, index: int, row: object) -> str:
    """The place of a row of a list: its number, and its id where it has one, like `questions[2] (basket)`."""
    id = row.get("id") if isinstance(row, dict) else None
    named = f" ({id})" if isinstance(id, str) and IDENTIFIER.fullmatch(id) else ""
    return f"{place}[{index}]{named}"


def unreadable(definition: object) -> Problem | None:
    """What no error line could even show: an integer beyond 64 bits, or tables within tables without end."""
    level: list[tuple[str, object]] = [("", definition)]
    for _ in range(MOST_LEVELS):
        inner: list[tuple[str, object]] = []
        for place, value in level:
            if isinstance(value, int) and value.bit_length() > 63:
                return Problem(place, "must be an integer of at most 64 bits")
            if isinstance(value, dict):
                inner += ((f"{place}.{one_line(str(key))}".lstrip("."), one) for key, one in value.items())
            elif isinstance(value, list | tuple):
                inner += ((row_place(place, index, one), one) for index, one in enumerate(value))
        level = inner
    return Problem(level[0][0], f"must be nested at most {MOST_LEVELS} deep") if level else None


class TooManyProblems(Exception):
    """So many mistakes were found that reading on would help nobody, and could take long."""


class Fields:
    """One table: its fields are taken one by one; `close` complains of those that nobody took.

    A wrong or missing field notes a problem and yields its default (or None), so that reading goes on and all
    mistakes are found at once. What is no table is one mistake: nothing more is said of its fields.
    """

    def __init__(self, table: object, place: str, problems: list[Problem]) -> None:
        self.place = place
        self.problems = problems
        self._taken: set[str] = set()
        self.table: dict[str, Any] = {}
        self.absent = False
        if isinstance(table, dict):
            self.table = table
        else:
            self.problem("", f"must be a table, got {shown(table)}")
            self.absent = True

    def at(self, name: str) -> str:
        """The place of a field of this table."""
        return ".".join(filter(None, (self.place, one_line(name) if name else "")))

    def problem(self, name: str, message: str) -> None:
        """Notes a mistake at the field `name` ('' for the table itself)."""
        if len(self.problems) >= MOST_PROBLEMS:
            raise TooManyProblems
        if not self.absent:
            self.problems.append(Problem(self.at(name), message))

    def has(self, name: str) -> bool:
        """Whether the table has the field."""
        return name in self.table

    def take(self, name: str, default: Any = _REQUIRED) -> Any:
        """The raw value of a field."""
        self._taken.add(name)
        if name in self.table:
            return self.table[name]
        if default is _REQUIRED:
            self.problem(name, "is missing")
            return None
        return default

    def _checked(self, name: str, default: Any, ok: Any, requirement: str) -> Any:
        value = self.take(name, default)
        if name not in self.table:
            return value
        if ok(value):
            return value
        self.problem(name, f"{requirement}, got {shown(value)}")
        return None if default is _REQUIRED else default

    def text(self, name: str, default: Any = _REQUIRED, *, longest: int = 500) -> Any:
        """A text of 1..longest printable characters."""

        def ok(value: object) -> bool:
            return isinstance(value, str) and 0 < len(value) <= longest and value.isprintable() and value.strip() != ""

        return self._checked(name, default, ok, f"must be a text of 1 to {longest} printable characters")

    def identifier(self, name: str) -> Any:
        """An id: lower-case letters, digits, '_', '-' and '.'."""

        def ok(value: object) -> bool:
            return isinstance(value, str) and IDENTIFIER.fullmatch(value) is not None

        return self._checked(
            name, _REQUIRED, ok, "must be 1 to 64 of a-z, 0-9, '_', '-', '.', beginning with a letter or digit"
        )

    def integer(self, name: str, low: int, high: int, default: Any = _REQUIRED) -> Any:
        """An integer in low..high."""

        def ok(value: object) -> bool:
            return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high

        return self._checked(name, default, ok, f"must be an integer from {low} to {high:,}")

    def number(self, name: str, low: float, high: float, default: Any = _REQUIRED) -> Any:
        """A number in low..high, as a float."""

        def ok(value: object) -> bool:
            return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high

        value = self._checked(name, default, ok, f"must be a number, at least {low:g} and at most {high:g}")
        return value if value is None else float(value)

    def flag(self, name: str) -> bool:
        """true or false, false where it is missing."""
        return bool(self._checked(name, False, lambda value: isinstance(value, bool), "must be true or false"))

    def choice(self, name: str, choices: Iterable[str], default: Any = _REQUIRED) -> Any:
        """One of a few words; None for another, as a word that was not meant says nothing about the other fields."""
        words = list(map(str, choices))
        value = self.take(name, default)
        if value in words:
            return value
        if self.has(name):
            self.problem(name, f"must be one of {', '.join(map(repr, words))}, got {shown(value)}")
        return None

    def day(self, name: str) -> Any:
        """A date, as TOML writes it or as text in ISO form."""
        value = self.take(name)
        if isinstance(value, str):
            with suppress(ValueError):
                value = date.fromisoformat(value)
        if name not in self.table:
            return None
        if not isinstance(value, date) or isinstance(value, datetime):
            self.problem(name, f"must be a date like 2026-11-02, got {shown(value)}")
            return None
        if not EARLIEST <= value <= LATEST:
            self.problem(name, f"must be a date from {EARLIEST} to {LATEST}, got {value}")
            return None
        return value

    def table_of(self, name: str) -> Iterator[tuple[str, Any]]:
        """The entries of an optional table whose keys the survey chooses."""
        value = self._checked(name, {}, lambda value: isinstance(value, dict), "must be a table")
        return iter(value.items())

    def nested(self, name: str) -> Fields:
        """A required table, read in its own right."""
        value = self.take(name)
        table = Fields(value if self.has(name) else {}, self.at(name), self.problems)
        table.absent |= not self.has(name)
        return table

    def rows(self, name: str, low: int, high: int) -> Iterator[Fields]:
        """A required list of low..high tables, each read in its own right."""
        for index, row in enumerate(self._list(name, low, high, "tables") or []):
            yield Fields(row, row_place(self.at(name), index, row), self.problems)

    def texts(self, name: str, low: int, high: int, *, longest: int = 100) -> tuple[str, ...] | None:
        """A required list of low..high different texts."""
        values = self._list(name, low, high, "texts")
        if values is None:
            return None
        seen: set[str] = set()
        sound = True
        for index, value in enumerate(values):
            if not (isinstance(value, str) and 0 < len(value) <= longest and value.isprintable()):
                self.problem(
                    f"{name}[{index}]", f"must be a text of 1 to {longest} printable characters, got {shown(value)}"
                )
                sound = False
            elif value in seen:
                self.problem(f"{name}[{index}]", f"{value!r} stands here twice")
                sound = False
            else:
                seen.add(value)
        return tuple(values) if sound else None

    def numbers(self, name: str, low: int, high: int) -> tuple[float, ...] | None:
        """A required list of low..high numbers."""
        values = self._list(name, low, high, "numbers")
        if values is None:
            return None
        for index, value in enumerate(values):
            if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
                self.problem(f"{name}[{index}]", f"must be a number within ±{LARGEST:g}, got {shown(value)}")
                return None
        return tuple(value + 0 for value in values)  # -0.0 and 0 are one number, and must have one name

    def _list(self, name: str, low: int, high: int, what: str) -> Any:
        return self._checked(
            name,
            _REQUIRED,
            lambda value: isinstance(value, list | tuple) and low <= len(value) <= high,
            f"must be a list of {low} to {high:,} {what}",
        )

    def close(self) -> None:
        """Notes every field that nobody took."""
        for name in self.table:
            if name not in self._taken:
                self.problem(name or "''", f"unknown field{did_you_mean(name, self._taken)}")
