"""Event logs: the events of many devices, and the segments that follow from the survey's own rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date

from hushtally.client_sdk.error_text import closest_match
from hushtally.client_sdk.explain.wording import counted
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.signals import Event, Function, Signal
from hushtally.client_sdk.survey.vocabulary import storable
from hushtally.simulations.errors import SimulationError

COLUMNS = ("device", "day", "event")  # all other columns are fields of the events
MAX_WARNED_EVENTS = 5  # unused event names to list in warnings


@dataclass
class EventLog:
    """A log that is read row by row and checked against the signals of a survey.

    histories: the events of each device. unused: the number of occurrences of each event that no signal uses.
    first_lines: the first line of each event.
    """

    signals: Mapping[str, Signal]
    histories: dict[str, list[Event]] = field(default_factory=dict)
    unused: Counter[str] = field(default_factory=Counter)
    first_lines: dict[str, int] = field(default_factory=dict)

    @classmethod
    def for_survey(cls, survey: Survey) -> EventLog:
        """Create an empty log for the signals that the survey's questions use."""
        needed = {name for question in survey.questions for name in question.form.needs}
        return cls({name: signal for name, signal in survey.signals.items() if name in needed})

    def add(self, line: int, row: Mapping[str, str]) -> None:
        """Add one row. Raises SimulationError, with the line, for an invalid day or a string that a sum would add."""
        try:
            day = date.fromisoformat(row["day"] or "")
        except ValueError:
            raise SimulationError(f"line {line}: day must be a date like 2026-11-02, got {row['day']!r}") from None
        fields, event = _fields(row), row["event"] or ""
        used_by = {name: signal for name, signal in self.signals.items() if signal.event == event}
        for name, signal in used_by.items():
            text = row.get(signal.field or "")
            if signal.function is Function.SUM and text and not isinstance(fields.get(signal.field or ""), int | float):
                raise SimulationError(
                    f"line {line}: {signal.field} must be a number from -10^12 to 10^12, because signal {name} adds it"
                    f" up; got {text!r}"
                )
        if not used_by:
            self.unused[event] += 1
        self.first_lines.setdefault(event, line)
        self.histories.setdefault(row["device"], []).append(Event(event, day, fields))

    def check(self, columns: Sequence[str]) -> None:
        """Raise SimulationError if the log is empty, or lacks a column or an event that the survey's questions need."""
        if not self.histories:
            raise SimulationError("the event log is empty")
        for name, signal in self.signals.items():
            if signal.field and signal.field not in columns:
                raise SimulationError(f"the event log has no column {signal.field!r}, which signal {name} needs")
            if self.unused and signal.event not in self.first_lines:
                others = ", ".join(f"{event!r} (line {self.first_lines[event]})" for event in list(self.unused)[:3])
                raise SimulationError(
                    f"the event log has no event {signal.event!r}, which signal {name} needs; it has {others}"
                )

    @property
    def warnings(self) -> tuple[str, ...]:
        """Possible mistakes: events that the log does not have, and events that no signal uses."""
        known = {signal.event for signal in self.signals.values()}
        lines = [f"the event log has no event {event!r}" for event in sorted(known - self.first_lines.keys())]
        hints = {event: closest_match(event, known) for event in self.unused}
        suspects = sorted(self.unused, key=lambda event: not hints[event])
        for event in suspects[:MAX_WARNED_EVENTS]:
            times = counted(self.unused[event], "time")
            words = f"no signal uses event {event!r} ({times}, first in line {self.first_lines[event]})"
            lines.append(f"{words}; {hints[event]}" if hints[event] else words)
        if rest := suspects[MAX_WARNED_EVENTS:]:
            events = counted(sum(self.unused[event] for event in rest), "more event")
            lines.append(f"no signal uses {events} with {counted(len(rest), 'other name')}")
        return tuple(lines)

    def segment_counts(self, survey: Survey) -> dict[str, list[int]]:
        """Return the number of devices in each segment on the last day of the log, by question id."""
        last = max(event.day for history in self.histories.values() for event in history)
        counts = {question.id: [0] * len(question.segments) for question in survey.questions}
        for history in self.histories.values():
            history.sort(key=lambda event: event.day)
            signals = {name: signal.value(history, last) for name, signal in survey.signals.items()}
            for question in survey.questions:
                counts[question.id][question.form.value(signals)] += 1
        return counts


def read_event_log(
    rows: Iterable[Mapping[str, str]],
    columns: Sequence[str],
    survey: Survey,
    progress: Callable[[], object] = lambda: None,
) -> EventLog:
    """Read a log with the columns device, day (like 2026-11-02), event and any fields of the events.

    Fields that look like numbers become numbers. Every device counts, even if the survey uses none of its events.
    progress: called once per row. Raises SimulationError if the log is invalid or does not fit the survey.
    """
    log = EventLog.for_survey(survey)
    for line, row in enumerate(rows, 2):
        progress()
        log.add(line, row)
    log.check(columns)
    return log


def _fields(row: Mapping[str, str]) -> dict[str, float | str]:
    """Return the fields of an event. Strings that look like numbers become numbers; 7 still matches a category "7"."""
    fields: dict[str, float | str] = {}
    for name, text in row.items():
        if name in COLUMNS or not isinstance(text, str) or not text:
            continue
        value: float | str = text
        for number in (float, int):
            with suppress(ValueError):
                value = number(text)
        if storable(value) is not None:
            fields[name] = value
    return fields
