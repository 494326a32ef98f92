"""Questions whose answers are preset: an event states the segment that the device is in."""

from __future__ import annotations

from dataclasses import replace

from hushtally.client_sdk.survey.questions import Categories, Question
from hushtally.client_sdk.survey.signals import Function, Signal

EVENT = "preset"  # each of its fields states the number of a segment


def preset_signal(field: str) -> Signal:
    """A signal with the value of a field of today's event."""
    return Signal(Function.TOP, EVENT, field, 1)


def preset_question(question: Question, signal: str, id: str = "") -> Question:
    """The question with the same mechanism, whose segment has the number that the signal states.

    id: a new question id; the same id if empty.
    """
    numbers = tuple(map(str, range(len(question.segments) - 1)))  # any other value is in the last segment
    return replace(question, id=id or question.id, form=Categories(signal, numbers))
