"""A log of events: what the survey's own rules make of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches

from hushtally.client_sdk.explain.wording import counted
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.signals import Event, Function, Signal
from hushtally.client_sdk.survey.vocabulary import storable
from hushtally.simulations.errors import SimulationError

MOST_REMARKED = 5  # names of events that no signal is about


@dataclass
class Log:
    """A log read row by row; every row whose event or number no signal can use is refused or counted.

    histories: the events of every device. unknown: how often each event came that no signal is about, and its line.
    """

    signals: Mapping[str, Signal]
    histories: dict[str, list[Event]] = field(default_factory=dict)
    unknown: Counter[str] = field(default_factory=Counter)
    lines: dict[str, int] = field(default_factory=dict)

    @classmethod
    def about(cls, survey: Survey) -> Log:
        """An empty log for the signals that the survey's questions use."""
        needed = {name for question in survey.questions for name in question.form.needs}
        return cls({name: one for name, one in survey.signals.items() if name in needed})

    def add(self, line: int, row: Mapping[str, str]) -> None:
        """One row; SimulationError, with its line, for a day that is none or a text where a sum needs a number."""
        try:
            day = date.fromisoformat(row["day"] or "")
        except ValueError:
            raise SimulationError(f"line {line}: day must be like 2026-11-02, got {row['day']!r}") from None
        fields, event = _fields(row), row["event"] or ""
        about = {name: signal for name, signal in self.signals.items() if signal.event == event}
        for name, signal in about.items():
            text = row.get(signal.field or "")
            if signal.function is Function.SUM and text and not isinstance(fields.get(signal.field or ""), int | float):
                raise SimulationError(
                    f"line {line}: {signal.field} must be a number within 10^12, as {name} sums it, got {text!r}"
                )
        if not about:
            self.unknown[event] += 1
        self.lines.setdefault(event, line)
        self.histories.setdefault(row["device"], []).append(Event(event, day, fields))

    def check(self, columns: Sequence[str]) -> None:
        """SimulationError for a log without events, or one that misspells what the survey counts, as far as is seen."""
        if not self.histories:
            raise SimulationError("the log has no events")
        for name, signal in self.signals.items():
            if signal.field and signal.field not in columns:
                raise SimulationError(f"the log has no column {signal.field!r}, which {name} is about")
            if self.unknown and signal.event not in self.lines:
                others = ", ".join(f"{one!r} (line {self.lines[one]})" for one in list(self.unknown)[:3])
                raise SimulationError(f"the log has no event {signal.event!r}, which {name} is about, but {others}")

    @property
    def remarks(self) -> tuple[str, ...]:
        """What may be a mistake and need not be one."""
        known = {signal.event for signal in self.signals.values()}
        found = [f"there is no event {event!r} in it" for event in sorted(known - self.lines.keys())]
        meant = {event: get_close_matches(event, known, n=1) for event in self.unknown}
        suspects = sorted(self.unknown, key=lambda event: not meant[event])
        for event in suspects[:MOST_REMARKED]:
            hint = f"; was {meant[event][0]!r} meant?" if meant[event] else ""
            words = f"no signal is about {self.unknown[event]:,} x {event!r}, first in line {self.lines[event]}"
            found.append(words + hint)
        if rest := suspects[MOST_REMARKED:]:
            events = counted(sum(self.unknown[event] for event in rest), "event")
            found.append(f"nor about {events} of {counted(len(rest), 'other name')}")
        return tuple(found)


def read_log(
    rows: Iterable[Mapping[str, str]],
    columns: Sequence[str],
    survey: Survey,
    progress: Callable[[], object] = lambda: None,
) -> tuple[dict[str, list[int]], tuple[str, ...]]:
    """How many of the log's devices are in every segment of every question on the log's last day; and remarks.

    rows: device, day (like 2026-11-02), event, and any fields of events; a field that reads as a number is one.
    Every device counts, also one without an event that the survey names. SimulationError: see Log.
    """
    log = Log.about(survey)
    for line, row in enumerate(rows, 2):
        progress()
        log.add(line, row)
    log.check(columns)
    last = max(event.day for history in log.histories.values() for event in history)
    counts = {question.id: [0] * len(question.segments) for question in survey.questions}
    for history in log.histories.values():
        history.sort(key=lambda event: event.day)
        signals = {name: signal.value(history, last) for name, signal in survey.signals.items()}
        for question in survey.questions:
            counts[question.id][question.form.value(signals)] += 1
    return counts, log.remarks


def _fields(row: Mapping[str, str]) -> dict[str, float | str]:
    """Numbers are read as the app would record them, so that a category named 7 stays one."""
    fields: dict[str, float | str] = {}
    for name, text in row.items():
        if name in ("device", "day", "event") or not isinstance(text, str) or not text:
            continue
        value: float | str = text
        for number in (float, int):
            with suppress(ValueError):
                value = number(text)
        if storable(value) is not None:
            fields[name] = value
    return fields
