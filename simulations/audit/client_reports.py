"""Reports that the shipped client sends about a known value, again and again."""

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
from hushtally.client_sdk.survey.questions import Question
from hushtally.client_sdk.testing import ScriptedClock
from hushtally.simulations.errors import SimulationError
from hushtally.simulations.preset_answers import EVENT, preset_question, preset_signal
from hushtally.simulations.requirements import require_clients_enabled

COPIES = 64  # copies of the question that one device answers each day
DAYS = 360
STARTS = date(2026, 1, 1)
SIGNAL = "value"


class _RecordingTransport:
    """A transport that accepts every batch and records the symbols of its reports by question id."""

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


def copied_survey(survey: Survey, question: Question) -> Survey:
    """A survey of about a year that asks many copies of one question every day, with a preset answer."""
    return replace(
        survey,
        starts=STARTS,
        ends=STARTS + timedelta(days=DAYS - 1),
        epoch=EpochLength.DAY,
        privacy=replace(survey.privacy, questions_per_device=COPIES, answers_every=1),
        cohorts={},
        signals={SIGNAL: preset_signal(SIGNAL)},
        questions=tuple(preset_question(question, SIGNAL, f"copy{number}") for number in range(COPIES)),
    )


def progress_steps(sequences: int, length: int) -> int:
    """How often `client_reports` reports progress."""
    return math.ceil(sequences / COPIES) * length


def client_reports(
    survey: Survey,
    question: Question,
    value: int,
    sequences: int,
    length: int,
    source: Callable[[], Randomness],
    progress: Callable[[], object] = lambda: None,
) -> Integers:
    """The reports about a question, through the client's public API, of devices with the same value every day.

    Returns an int array of symbols of shape (sequences, length); each row is from one device and one copy of the
    question. source: creates the randomness of the next device. progress is called `progress_steps` times. Raises
    SimulationError if the client fails, or sends anything but one report per copy and day.
    """
    require_clients_enabled()
    copied = copied_survey(survey, question)
    if not 1 <= length <= DAYS:
        raise ArgumentError("length", f"must be at least 1 and at most {DAYS}, got {length}")
    rows: list[Sequence[int]] = []
    while len(rows) < sequences:
        rows += _device_reports(copied, value, length, source(), progress)
    return np.array(rows[:sequences], dtype=np.int64)


def _device_reports(
    survey: Survey, value: int, days: int, randomness: Randomness, progress: Callable[[], object]
) -> list[list[int]]:
    """The symbols that one device sends about each copy of the question, one for each day."""
    transport = _RecordingTransport()
    faults: list[Fault] = []
    clock = ScriptedClock("2026-01-01T23:59:59")
    with Client(
        survey,
        collector="http://localhost",
        state=":memory:",
        clock=clock,
        randomness=randomness,
        transport=transport,
        on_error=faults.append,
    ) as client:
        client.grant_consent()
        for _ in range(days):
            client.record(EVENT, **{SIGNAL: str(value)})
            client.tick()
            clock.advance(days=1)
            progress()
    symbols = list(transport.symbols.values())
    if faults or len(symbols) != COPIES or any(len(sent) != days for sent in symbols):
        raise SimulationError(
            f"the client did not answer {COPIES} questions on each of {days} days; faults: {faults or 'none'}"
        )
    return symbols
