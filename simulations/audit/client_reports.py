"""A witness: what the shipped client sends, again and again, when it was told a value."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta

import numpy as np

from hushtally.aggregator.errors import ArgumentError
from hushtally.aggregator.tally import Integers
from hushtally.client_sdk.client import Client, Fault
from hushtally.client_sdk.delivery.transport import MAX_RESPONSE_BYTES, Response
from hushtally.client_sdk.randomness import Randomness
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.epochs import EpochLength
from hushtally.client_sdk.survey.questions import Categories, Question
from hushtally.client_sdk.survey.signals import Function, Signal
from hushtally.client_sdk.testing import ScriptedClock
from hushtally.simulations.errors import SimulationError
from hushtally.simulations.requirements import require_clients

COPIES = 64  # of the question, which one device answers at once
DAYS = 360
STARTS = date(2026, 1, 1)


class _Notes:
    """A transport that notes the symbol of every report, by the copy of the question."""

    def __init__(self) -> None:
        self.symbols: dict[str, list[int]] = {}

    def request(
        self, method: str, url: str, body: bytes | None, timeout: float, max_bytes: int = MAX_RESPONSE_BYTES
    ) -> Response:
        """See Transport."""
        reports = json.loads(body or b"")["reports"]
        for report in reports:
            self.symbols.setdefault(report["question"], []).append(report["symbol"])
        return Response(200, b'{"accepted": %d, "rejected": []}' % len(reports))


def repeated(survey: Survey, question: Question) -> Survey:
    """A survey of a year that asks many copies of one question every day, each about a value the device is told."""
    categories = tuple(map(str, range(len(question.segments) - 1)))
    copies = tuple(
        replace(question, id=f"copy{number}", form=Categories("told", categories)) for number in range(COPIES)
    )
    return replace(
        survey,
        starts=STARTS,
        ends=STARTS + timedelta(days=DAYS - 1),
        epoch=EpochLength.DAY,
        privacy=replace(survey.privacy, questions_per_device=COPIES, answers_every=1),
        cohorts={},
        signals={"told": Signal(Function.TOP, "truth", "told", 1)},
        questions=copies,
    )


def steps(sequences: int, length: int) -> int:
    """How often `watch` reports progress."""
    return math.ceil(sequences / COPIES) * length


def watch(
    survey: Survey,
    question: Question,
    value: int,
    sequences: int,
    length: int,
    source: Callable[[], Randomness],
    progress: Callable[[], object] = lambda: None,
) -> Integers:
    """What devices that were told `value` every day send about a question, through the client's public API.

    At least `sequences` rows of `length` reports, each row of one device and one answer; int array of symbols.
    source: the randomness of the next device. progress is called `steps` times. SimulationError if the
    client fails or sends anything but one report per question and day.
    """
    require_clients()
    asked = repeated(survey, question)
    if not 1 <= length <= DAYS:
        raise ArgumentError("length", f"must be at least 1 and at most {DAYS}, got {length}")
    rows: list[Sequence[int]] = []
    while len(rows) < sequences:
        rows += _life(asked, value, length, source(), progress)
    return np.array(rows[:sequences], dtype=np.int64)


def _life(
    asked: Survey, value: int, length: int, randomness: Randomness, progress: Callable[[], object]
) -> list[list[int]]:
    """What one device that was told `value` on so many days sent about each copy of the question."""
    notes = _Notes()
    faults: list[Fault] = []
    clock = ScriptedClock("2026-01-01T23:59:59")
    with Client(
        asked,
        collector="http://localhost",
        state=":memory:",
        clock=clock,
        randomness=randomness,
        transport=notes,
        on_error=faults.append,
    ) as client:
        client.grant_consent()
        for _ in range(length):
            client.record("truth", told=str(value))
            client.tick()
            clock.advance(days=1)
            progress()
    sent = list(notes.symbols.values())
    if faults or len(sent) != COPIES or any(len(one) != length for one in sent):
        raise SimulationError(f"the client did not answer {COPIES} questions on {length} days: {faults or 'silent'}")
    return sent
