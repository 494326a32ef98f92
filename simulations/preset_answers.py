"""Questions with preset answers: an event contains the segment of the device."""

from __future__ import annotations

from dataclasses import replace

from hushtally.client_sdk.survey.questions import Categories, Question
from hushtally.client_sdk.survey.signals import Function, Signal

EVENT = "preset"  # each of its fields contains the number of a segment


def preset_signal(field: str) -> Signal:
    """Create a signal whose value is a field of today's event."""
    return Signal(Function.TOP, EVENT, field, 1)


def preset_question(question: Question, signal: str, id: str = "") -> Question:
    """Return a copy of the question whose segment is the number in the signal. The mechanism stays the same.

    id: a new question id; if empty, the id stays the same.
    """
    numbers = tuple(map(str, range(len(question.segments) - 1)))  # any other value is in the last segment
    return replace(question, id=id or question.id, form=Categories(signal, numbers))
