"""Signals: numbers and strings that the device computes from recorded events. They never leave the device."""

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
    """Something the customer did on a day, with the fields that a survey names. Never leaves the device."""

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
        """Whether the function applies to a field of the event, such as `purchase.amount`."""
        return self in (Function.SUM, Function.TOP, Function.DISTINCT)


@dataclass(frozen=True)
class Signal:
    """A function of one kind of event, or of one of its fields, over the last `days` days including today."""

    function: Function
    event: str
    field: str | None
    days: int

    @property
    def kind(self) -> Kind:
        """The type of the signal's value in a rule."""
        return Kind.STRING if self.function is Function.TOP else Kind.NUMBER

    @property
    def source(self) -> str:
        """The event and its field, as the survey states them: `purchase` or `purchase.amount`."""
        return self.event if self.field is None else f"{self.event}.{self.field}"

    def value(self, events: Iterable[Event], today: date) -> float | str | None:
        """The value of the signal on the day `today`. events: in the order in which they were recorded.

        Without an event in the window, days_since is infinity and top is None. In a tie, top is the most recent value.
        """
        window = [event for event in events if event.name == self.event and 0 <= (today - event.day).days < self.days]
        if self.function is Function.COUNT:
            return len(window)
        if self.function is Function.DAYS_SINCE:
            return min(((today - event.day).days for event in window), default=math.inf)
        values = [value for event in window if (value := event.fields.get(self.field or "")) is not None]
        if self.function is Function.SUM:
            return math.fsum(value for value in values if isinstance(value, float | int))
        names = [value if isinstance(value, str) else number_name(value) for value in values]
        if self.function is Function.DISTINCT:
            return len(set(names))
        # a Counter keeps the order of first occurrence, so reversing puts the most recent value of a tie first
        return max(Counter(reversed(names)).items(), key=lambda item: item[1])[0] if names else None
