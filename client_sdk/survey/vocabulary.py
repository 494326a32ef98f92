"""The event names, fields and values that a survey's signals use."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from numbers import Complex, Number, Real

from hushtally.client_sdk.survey.signals import Function
from hushtally.client_sdk.survey.survey import Survey

MAX_STRING_LENGTH = 100
MAX_NUMBER = 1e12

# what is required of a field's value
REQUIREMENT = f"must be a number within 10^12 or a string of at most {MAX_STRING_LENGTH} characters"
SUM_REQUIREMENT = "must be a number, because a survey sums it"
BOOL_REQUIREMENT = f"{REQUIREMENT} (instead of a bool, pass 1 or 0)"


class EventVocabulary:
    """The events and fields that the surveys use. All other events and fields are dropped without being read."""

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
    def of(cls, surveys: Iterable[Survey]) -> EventVocabulary:
        """The vocabulary of these surveys, cached: a gateway opens one client after the other."""
        return _cached(tuple(surveys))

    @property
    def events(self) -> list[str]:
        """The names of all events that a survey uses, sorted."""
        return sorted(self._fields)

    def event(self, name: str) -> bool:
        """Whether a survey uses this event."""
        return name in self._fields

    def fields(self, event: str) -> list[str]:
        """The names of all fields of the event that a survey uses, sorted."""
        return sorted(self._fields[event])

    def days(self, event: str) -> int:
        """The longest window of a signal of this event, in days including today; 0 without such a signal."""
        return self._days.get(event, 0)

    def field(self, event: str, field: str) -> bool:
        """Whether a survey uses this field of the event."""
        return field in self._fields[event]

    def value(self, event: str, field: str, value: object) -> tuple[float | str | None, str]:
        """The stored form of a field's value, or None and the requirement that the value violates.

        See `storable`. A field that a survey sums accepts only numbers.
        """
        stored = storable(value)
        if stored is None:
            return None, BOOL_REQUIREMENT if type(value) is bool else REQUIREMENT
        if isinstance(stored, str) and (event, field) in self._summed:
            return None, SUM_REQUIREMENT
        return stored, ""


@lru_cache(maxsize=64)
def _cached(surveys: tuple[Survey, ...]) -> EventVocabulary:
    return EventVocabulary(surveys)


def storable(value: object) -> float | str | None:
    """The stored form of a field's value: a number within 10^12 or a string of at most 100 characters, else None.

    A Decimal, a Fraction and the numbers of numpy are stored as floats. Never raises, whatever the app passes.
    """
    try:
        if isinstance(value, str):
            return value if len(value) <= MAX_STRING_LENGTH else None
        # a tuple: `int | float` would take longer than the rest of the function
        number = value if isinstance(value, (int, float)) and not isinstance(value, bool) else _float(value)
        return number if number is not None and abs(number) <= MAX_NUMBER else None
    except Exception:  # for example from Decimal("sNaN"), or from a proxy that lost its object
        return None


def _float(value: object) -> float | None:
    """A number of another type as a float. A Decimal is a Number, but not Real or Complex."""
    real = isinstance(value, Real) or (isinstance(value, Number) and not isinstance(value, Complex))
    return float(value) if real and not isinstance(value, bool) else None  # type: ignore[arg-type]
