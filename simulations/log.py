"""A log of events: what the survey's own rules make of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import date

import numpy as np

from aggregator.intervals import Floats
from client_sdk.events import usable
from client_sdk.signals import Event
from client_sdk.survey import Survey
from simulations.errors import SimulationError


def log_shares(
    rows: Iterable[Mapping[str, str]], survey: Survey, progress: Callable[[], object] = lambda: None
) -> dict[str, Floats]:
    """The share of the log's devices in every segment of every question, on the log's last day.

    rows: device, day (like 2026-11-02), event, and any fields of events; a field that reads as a number is one.
    Every device counts, also one without an event that the survey names. SimulationError for a day that is none or a
    log without events.
    """
    histories: dict[str, list[Event]] = {}
    for number, row in enumerate(rows, 2):
        progress()
        try:
            day = date.fromisoformat(row["day"] or "")
        except ValueError:
            raise SimulationError(f"line {number}: day must be like 2026-11-02, got {row['day']!r}") from None
        histories.setdefault(row["device"], []).append(Event(row["event"], day, _fields(row)))
    if not histories:
        raise SimulationError("the log has no events")
    last = max(event.day for history in histories.values() for event in history)
    counts: dict[str, Counter[int]] = {question.id: Counter() for question in survey.questions}
    for history in histories.values():
        history.sort(key=lambda event: event.day)
        signals = {name: signal.value(history, last) for name, signal in survey.signals.items()}
        for question in survey.questions:
            counts[question.id][question.form.value(signals)] += 1
    return {
        question.id: np.array([counts[question.id][value] for value in range(len(question.segments))]) / len(histories)
        for question in survey.questions
    }


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
        if usable(value):
            fields[name] = value
    return fields
