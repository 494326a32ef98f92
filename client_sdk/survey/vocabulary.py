"""The event names, fields and values that a survey's signals use."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from numbers import Complex, Number, Real

from hushtally.client_sdk.survey.signals import Function
from hushtally.client_sdk.survey.survey import Survey

LONGEST_TEXT = 100


LARGEST_NUMBER = 1e12


REQUIREMENT = f"must be a number within 10^12 or a text of at most {LONGEST_TEXT} characters"


SUMMED = "must be a number, as a survey sums it"


BOOL = f"{REQUIREMENT} (for a bool pass 1 or 0)"


class EventVocabulary:
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
    def of(cls, surveys: Iterable[Survey]) -> EventVocabulary:
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

    def value(self, event: str, field: str, value: object) -> tuple[float | str | None, str]:
        """Return the field's value as it is stored, or None and what the value must be.

        See `storable`. A field that a survey sums must be a number.
        """
        stored = storable(value)
        if stored is None:
            return None, BOOL if type(value) is bool else REQUIREMENT
        if isinstance(stored, str) and (event, field) in self._summed:
            return None, SUMMED
        return stored, ""


@lru_cache(maxsize=64)
def _named(surveys: tuple[Survey, ...]) -> EventVocabulary:
    return EventVocabulary(surveys)


def storable(value: object) -> float | str | None:
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
