"""The permanent answers of up to a million simulated devices, in arrays."""

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

MAX_DEVICES = 1_000_000

Mask = NDArray[np.bool_]


class PermanentMemory:
    """The permanent answers of all devices: one slot for the first answer and for each allowed change.

    The rules are those of the client. A value that was answered before reuses its permanent symbol. A new value takes a
    free slot. If no slot is free, the device repeats the answer in the last used slot.
    """

    def __init__(self, mechanism: Permanent, devices: int, changes: int) -> None:
        self._single, self._permanent = mechanism.single_report, mechanism.permanent_draw
        self._gamma = float(mechanism.gamma)
        self._values = np.full((devices, changes + 1), -1)
        self._symbols = np.zeros((devices, changes + 1), dtype=np.int64)
        self._last_used = np.zeros((devices, changes + 1), dtype=np.int64)
        self._answers = 0

    def forget(self, devices: Mask) -> None:
        """Empty the memory of the devices in the mask, because new devices replaced them."""
        self._values[devices] = -1
        self._last_used[devices] = 0

    def answer(self, devices: Integers, values: Integers, random: np.random.Generator) -> Integers:
        """Draw the reports of the devices with these indexes and values. Returns an int array of symbols."""
        self._answers += 1
        same = self._values[devices] == values[:, None]
        known = same.any(axis=1)
        occupied = (self._values[devices] >= 0).sum(axis=1)
        new = ~known & (occupied < self._values.shape[1])
        slot = np.where(known, same.argmax(axis=1), np.where(new, occupied, self._last_used[devices].argmax(axis=1)))
        self._values[devices[new], slot[new]] = values[new]
        self._symbols[devices[new], slot[new]] = draw_symbols(self._permanent, values[new], random)
        self._last_used[devices, slot] = self._answers
        unchanged = random.random(devices.size) < self._gamma
        return np.where(
            unchanged, self._symbols[devices, slot], random.integers(self._single.symbols, size=devices.size)
        )


def can_remember(question: Question, scenario: Scenario) -> bool:
    """Return whether the arrays can store all devices and the mechanism is a design with permanent memory."""
    mechanism = question.mechanism
    return (
        isinstance(mechanism, Permanent)
        and isinstance(mechanism.single_report, Design)
        and scenario.devices <= MAX_DEVICES
    )


def remembering_tallies(
    survey: Survey, question: Question, scenario: Scenario, random: np.random.Generator
) -> Iterator[Tally]:
    """Yield the tally of a question for every epoch. Devices are replaced, withdraw, change and repeat answers."""
    mechanism, devices, privacy = question.mechanism, scenario.devices, survey.privacy
    assert isinstance(mechanism, Permanent)
    asked = scenario.participation * privacy.questions_per_device / len(survey.asked)
    memory = PermanentMemory(mechanism, devices, privacy.changes or 0)
    segments = len(question.segments)
    values = random.choice(segments, size=devices, p=scenario.drawn_shares(question, 0))
    phases = random.integers(privacy.answers_every, size=devices)
    answering = random.random(devices) < asked
    for step in range(scenario.epochs):
        if step:
            replaced = random.random(devices) < scenario.turnover
            answering &= ~(random.random(devices) < scenario.withdrawal) | replaced
            answering[replaced] = random.random(int(replaced.sum())) < asked
            phases[replaced] = random.integers(privacy.answers_every, size=int(replaced.sum()))
            memory.forget(replaced)
            redrawn = replaced | (random.random(devices) < scenario.change)
            shares = scenario.drawn_shares(question, step)
            values[redrawn] = random.choice(segments, size=int(redrawn.sum()), p=shares)
        due = np.flatnonzero(answering & (phases == step % privacy.answers_every))
        yield Tally.of(memory.answer(due, values[due], random))
