"""Signals: numbers and names computed on the device from recorded events; never sent."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from hushtally.client_sdk.survey.number_names import number_name
from hushtally.client_sdk.survey.rules import Kind


@dataclass(frozen=True)
class Event:
    """Something the customer did on a day, with the fields that a survey names. It never leaves the device."""

    name: str
    day: date
    fields: Mapping[str, float | str]

    def __repr__(self) -> str:
        return "Event(hidden)"


class Function(StrEnum):
    """What a signal computes."""

    COUNT = "count"
    SUM = "sum"
    DAYS_SINCE = "days_since"
    TOP = "top"
    DISTINCT = "distinct"

    @property
    def needs_field(self) -> bool:
        """Whether the signal is about a field of the event (`purchase.amount`), not the event alone."""
        return self in (Function.SUM, Function.TOP, Function.DISTINCT)


@dataclass(frozen=True)
class Signal:
    """`function` of an event (and one of its fields) over the last `days` days, today included."""

    function: Function
    event: str
    field: str | None
    days: int

    @property
    def kind(self) -> Kind:
        """What the signal yields to a rule."""
        return Kind.TEXT if self.function is Function.TOP else Kind.NUMBER

    @property
    def source(self) -> str:
        """The event, and the field if there is one, as the survey writes it."""
        return self.event if self.field is None else f"{self.event}.{self.field}"

    def value(self, events: Iterable[Event], today: date) -> float | str | None:
        """The signal on `today` from events in the order in which they were recorded.

        days_since is infinity without an event in the window; top is None without one, and the most recent of a tie.
        """
        window = [one for one in events if one.name == self.event and 0 <= (today - one.day).days < self.days]
        if self.function is Function.COUNT:
            return len(window)
        if self.function is Function.DAYS_SINCE:
            return min(((today - one.day).days for one in window), default=math.inf)
        values = [value for one in window if (value := one.fields.get(self.field or "")) is not None]
        if self.function is Function.SUM:
            return math.fsum(value for value in values if isinstance(value, float | int))
        names = [value if isinstance(value, str) else number_name(value) for value in values]
        if self.function is Function.DISTINCT:
            return len(set(names))
        # a Counter keeps first-seen order, so the most recent of a tie comes first in reverse
        return max(Counter(reversed(names)).items(), key=lambda item: item[1])[0] if names else None
