"""Reads a table of a survey field by field, and collects every mistake with its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import date, datetime
from typing import Any

from hushtally.client_sdk.error_text import did_you_mean, one_line, shown
from hushtally.client_sdk.errors import Problem

IDENTIFIER = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}", re.ASCII)
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)

MAX_NUMBER = 1e15  # every JSON reader stores such a number exactly
MIN_DATE, MAX_DATE = date(2000, 1, 1), date(2999, 12, 31)  # dates that are computed from these are valid, too
MAX_DEPTH = 16
MAX_PROBLEMS = 100

_REQUIRED = object()


def row_place(place: str, index: int, row: object) -> str:
    """The place of a row of a list: its number and, if it has one, its id, such as `questions[2] (basket)`."""
    id = row.get("id") if isinstance(row, dict) else None
    suffix = f" ({id})" if isinstance(id, str) and IDENTIFIER.fullmatch(id) else ""
    return f"{place}[{index}]{suffix}"


def structure_problem(definition: object) -> Problem | None:
    """An integer of more than 64 bits, or tables that are nested too deeply: neither could be shown in a message."""
    level: list[tuple[str, object]] = [("", definition)]
    for _ in range(MAX_DEPTH):
        next_level: list[tuple[str, object]] = []
        for place, value in level:
            if isinstance(value, int) and value.bit_length() > 63:
                return Problem(place, "must be an integer of at most 64 bits")
            if isinstance(value, dict):
                next_level += ((f"{place}.{one_line(str(key))}".lstrip("."), inner) for key, inner in value.items())
            elif isinstance(value, list | tuple):
                next_level += ((row_place(place, index, row), row) for index, row in enumerate(value))
        level = next_level
    return Problem(level[0][0], f"must be nested at most {MAX_DEPTH} levels deep") if level else None


class TooManyProblems(Exception):
    """So many mistakes were found that reading more would only take time."""


class Fields:
    """One table, whose fields are taken one by one. `close` reports the fields that nobody took.

    A wrong or missing field adds a problem and returns its default, or None. So reading continues, and all mistakes are
    found at once. If the value is not a table, that is the only mistake: its fields are not reported.
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
        """Add a mistake at the field `name`, or at the table itself if the name is empty."""
        if len(self.problems) >= MAX_PROBLEMS:
            raise TooManyProblems
        if not self.absent:
            self.problems.append(Problem(self.at(name), message))

    def has(self, name: str) -> bool:
        """Whether the table has the field."""
        return name in self.table

    def take(self, name: str, default: Any = _REQUIRED) -> Any:
        """The value of a field, without a check."""
        self._taken.add(name)
        if name in self.table:
            return self.table[name]
        if default is _REQUIRED:
            self.problem(name, "is missing")
            return None
        return default

    def _checked(self, name: str, default: Any, is_valid: Callable[[Any], bool], requirement: str) -> Any:
        value = self.take(name, default)
        if name not in self.table:
            return value
        if is_valid(value):
            return value
        self.problem(name, f"{requirement}, got {shown(value)}")
        return None if default is _REQUIRED else default

    def string(self, name: str, default: Any = _REQUIRED, *, max_length: int = 500) -> Any:
        """A string of 1..max_length printable characters that are not all spaces."""

        def is_valid(value: object) -> bool:
            return _is_string(value, max_length) and str(value).strip() != ""

        return self._checked(name, default, is_valid, f"must be a string of 1 to {max_length} printable characters")

    def identifier(self, name: str) -> Any:
        """An id: lower-case letters, digits, '_', '-' and '.'."""

        def is_valid(value: object) -> bool:
            return isinstance(value, str) and IDENTIFIER.fullmatch(value) is not None

        requirement = "must be 1 to 64 characters of a-z, 0-9, '_', '-' and '.', starting with a letter or digit"
        return self._checked(name, _REQUIRED, is_valid, requirement)

    def integer(self, name: str, low: int, high: int, default: Any = _REQUIRED) -> Any:
        """An integer in low..high."""

        def is_valid(value: object) -> bool:
            return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high

        return self._checked(name, default, is_valid, f"must be an integer from {low} to {high:,}")

    def number(self, name: str, low: float, high: float, default: Any = _REQUIRED) -> Any:
        """A number in low..high, as a float."""

        def is_valid(value: object) -> bool:
            return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high

        value = self._checked(name, default, is_valid, f"must be a number between {low:g} and {high:g}")
        return value if value is None else float(value)

    def boolean(self, name: str) -> bool:
        """true or false; false if the field is missing."""
        return bool(self._checked(name, False, lambda value: isinstance(value, bool), "must be true or false"))

    def choice(self, name: str, choices: Iterable[str], default: Any = _REQUIRED) -> Any:
        """One of a few words. None if it is another word, which tells nothing about the other fields."""
        words = list(map(str, choices))
        value = self.take(name, default)
        if value in words:
            return value
        if self.has(name):
            self.problem(name, f"must be one of {', '.join(map(repr, words))}, got {shown(value)}")
        return None

    def day(self, name: str) -> Any:
        """A date, as a TOML date or an ISO string."""
        value = self.take(name)
        if isinstance(value, str):
            with suppress(ValueError):
                value = date.fromisoformat(value)
        if name not in self.table:
            return None
        if not isinstance(value, date) or isinstance(value, datetime):
            self.problem(name, f"must be a date like 2026-11-02, got {shown(value)}")
            return None
        if not MIN_DATE <= value <= MAX_DATE:
            self.problem(name, f"must be a date from {MIN_DATE} to {MAX_DATE}, got {value}")
            return None
        return value

    def entries(self, name: str) -> Iterator[tuple[str, Any]]:
        """The entries of an optional table whose keys the survey chooses."""
        value = self._checked(name, {}, lambda value: isinstance(value, dict), "must be a table")
        return iter(value.items())

    def nested(self, name: str) -> Fields:
        """A required table."""
        value = self.take(name)
        table = Fields(value if self.has(name) else {}, self.at(name), self.problems)
        table.absent |= not self.has(name)
        return table

    def rows(self, name: str, low: int, high: int) -> Iterator[Fields]:
        """A required list of low..high tables."""
        for index, row in enumerate(self._list(name, low, high, "tables") or []):
            yield Fields(row, row_place(self.at(name), index, row), self.problems)

    def strings(self, name: str, low: int, high: int, *, max_length: int = 100) -> tuple[str, ...] | None:
        """A required list of low..high different strings."""
        values = self._list(name, low, high, "strings")
        if values is None:
            return None
        seen: set[str] = set()
        valid = True
        for index, value in enumerate(values):
            if not _is_string(value, max_length):
                requirement = f"must be a string of 1 to {max_length} printable characters"
                self.problem(f"{name}[{index}]", f"{requirement}, got {shown(value)}")
                valid = False
            elif value in seen:
                self.problem(f"{name}[{index}]", f"{value!r} is already in the list; remove the duplicate")
                valid = False
            else:
                seen.add(value)
        return tuple(values) if valid else None

    def numbers(self, name: str, low: int, high: int) -> tuple[float, ...] | None:
        """A required list of low..high numbers."""
        values = self._list(name, low, high, "numbers")
        if values is None:
            return None
        for index, value in enumerate(values):
            if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= MAX_NUMBER:
                self.problem(f"{name}[{index}]", f"must be a number within ±{MAX_NUMBER:g}, got {shown(value)}")
                return None
        return tuple(value + 0 for value in values)  # -0.0 becomes 0: equal numbers must have equal names

    def _list(self, name: str, low: int, high: int, items: str) -> Any:
        return self._checked(
            name,
            _REQUIRED,
            lambda value: isinstance(value, list | tuple) and low <= len(value) <= high,
            f"must be a list of {low} to {high:,} {items}",
        )

    def close(self) -> None:
        """Report every field that nobody took."""
        for name in self.table:
            if name not in self._taken:
                self.problem(name or "''", f"unknown field{did_you_mean(name, self._taken)}")


def _is_string(value: object, max_length: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= max_length and value.isprintable()
