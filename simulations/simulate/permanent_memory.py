"""Memories: up to a million devices that remember their permanent answers, in arrays."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hushtally.aggregator.tally import Integers, Tally
from hushtally.client_sdk.mechanisms import Design, Permanent
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.questions import Question
from hushtally.simulations.sampling import draw_symbols
from hushtally.simulations.simulate.scenario import Scenario

MOST_DEVICES = 1_000_000

Mask = NDArray[np.bool_]


class Memories:
    """The permanent answers of devices, place by place: as many as a survey's changes allow, and which was used last.

    A value seen before sends its permanent symbol again; a new one is remembered while there is room, then the one used
    last stays: what the client does.
    """

    def __init__(self, mechanism: Permanent, devices: int, changes: int) -> None:
        self._once, self._lasting = mechanism.single_report, mechanism.permanent_draw
        self._gamma = float(mechanism.gamma)
        self._values = np.full((devices, changes + 1), -1)
        self._symbols = np.zeros((devices, changes + 1), dtype=np.int64)
        self._used = np.zeros((devices, changes + 1), dtype=np.int64)
        self._answers = 0

    def forget(self, places: Mask) -> None:
        """New devices are in these places."""
        self._values[places] = -1
        self._used[places] = 0

    def answer(self, places: Integers, values: Integers, random: np.random.Generator) -> Integers:
        """The reports of the devices in these places, which hold these values; int array of symbols."""
        self._answers += 1
        same = self._values[places] == values[:, None]
        known = same.any(axis=1)
        held = (self._values[places] >= 0).sum(axis=1)
        new = ~known & (held < self._values.shape[1])
        slot = np.where(known, same.argmax(axis=1), np.where(new, held, self._used[places].argmax(axis=1)))
        self._values[places[new], slot[new]] = values[new]
        self._symbols[places[new], slot[new]] = draw_symbols(self._lasting, values[new], random)
        self._used[places, slot] = self._answers
        kept = random.random(places.size) < self._gamma
        return np.where(kept, self._symbols[places, slot], random.integers(self._once.symbols, size=places.size))


def can_remember(question: Question, scenario: Scenario) -> bool:
    """Whether the devices of a scenario fit, and the mechanism draws symbols uniformly from those that support."""
    mechanism = question.mechanism
    return (
        isinstance(mechanism, Permanent)
        and isinstance(mechanism.single_report, Design)
        and scenario.devices <= MOST_DEVICES
    )


def remembered(survey: Survey, question: Question, scenario: Scenario, random: np.random.Generator) -> Iterator[Tally]:
    """What comes of a question in every epoch from devices that come, go, withdraw, change and remember."""
    mechanism, places, privacy = question.mechanism, scenario.devices, survey.privacy
    assert isinstance(mechanism, Permanent)
    asked = scenario.participation * privacy.questions_per_device / len(survey.asked)
    memories = Memories(mechanism, places, privacy.changes or 0)
    segments = len(question.segments)
    values = random.choice(segments, size=places, p=scenario.drawn(question, 0))
    phases = random.integers(privacy.answers_every, size=places)
    answering = random.random(places) < asked
    for step in range(scenario.epochs):
        if step:
            gone = random.random(places) < scenario.turnover
            answering &= ~(random.random(places) < scenario.withdrawal) | gone
            answering[gone] = random.random(int(gone.sum())) < asked
            phases[gone] = random.integers(privacy.answers_every, size=int(gone.sum()))
            memories.forget(gone)
            anew = gone | (random.random(places) < scenario.change)
            values[anew] = random.choice(segments, size=int(anew.sum()), p=scenario.drawn(question, step))
        due = np.flatnonzero(answering & (phases == step % privacy.answers_every))
        yield Tally.of(memories.answer(due, values[due], random))
