"""The tally engine, which draws the counts of up to a billion devices directly from the mechanisms."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from hushtally.aggregator.intervals import Floats
from hushtally.aggregator.tally import Integers
from hushtally.client_sdk.mechanisms import Rappor
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.questions import Question
from hushtally.simulations.sampling import draw_support_counts, draw_tally
from hushtally.simulations.simulate.epoch_counts import EpochCounts
from hushtally.simulations.simulate.permanent_memory import can_remember, remembering_tallies
from hushtally.simulations.simulate.scenario import Scenario


def run(
    survey: Survey, scenario: Scenario, seed: tuple[int, ...], progress: Callable[[], object] = lambda: None
) -> dict[tuple[str, int], EpochCounts]:
    """Return the counts of every question in every epoch, by question id and step. Equal seeds give equal results.

    The joint distribution over the segments of one question is exact: the devices that answer, come, go, withdraw and
    change are drawn as counts by value and phase. Up to a million devices with permanent memory are simulated one by
    one. The questions of one device are drawn independently. With more devices, the epochs of devices with permanent
    memory are also drawn independently (see `ignores_permanent_memory`). progress: called `progress_steps` times.
    """
    counts = {}
    for number, question in enumerate(survey.asked):
        random = np.random.default_rng([*seed, number])
        for step, epoch_counts in enumerate(_run_question(survey, question, scenario, random)):
            counts[question.id, step] = epoch_counts
            progress()
    return counts


def progress_steps(survey: Survey, scenario: Scenario) -> int:
    """Return the number of times that `run` calls progress: once per question and epoch."""
    return len(survey.asked) * scenario.epochs


def ignores_permanent_memory(survey: Survey, scenario: Scenario) -> bool:
    """Return whether the survey has permanent memory that this engine cannot simulate from epoch to epoch."""
    return survey.permanent and scenario.epochs > 1 and not all(can_remember(one, scenario) for one in survey.asked)


def _run_question(
    survey: Survey, question: Question, scenario: Scenario, random: np.random.Generator
) -> Iterator[EpochCounts]:
    mechanism = question.mechanism
    if scenario.epochs > 1 and can_remember(question, scenario):
        for tally in remembering_tallies(survey, question, scenario, random):
            yield EpochCounts.of(mechanism, tally)
        return
    for answering in _answering_devices(survey, question, scenario, random):
        if isinstance(mechanism, Rappor):
            yield EpochCounts.of(mechanism, draw_tally(mechanism, answering, random))
        else:
            yield EpochCounts(int(answering.sum()), draw_support_counts(mechanism, answering, random))


def _answering_devices(
    survey: Survey, question: Question, scenario: Scenario, random: np.random.Generator
) -> Iterator[Integers]:
    """Yield for every epoch the number of devices of each value that answer: int arrays of shape (segments,)."""
    every = survey.privacy.answers_every
    asked = scenario.participation * survey.privacy.questions_per_device / len(survey.asked)
    present = _new_devices(scenario.devices, asked, every, scenario.drawn_shares(question, 0), random)
    for step in range(scenario.epochs):
        if step:
            shares = scenario.drawn_shares(question, step)
            replaced = random.binomial(present, scenario.turnover)
            absent_replaced = random.binomial(scenario.devices - present.sum(), scenario.turnover)
            present -= replaced
            present -= random.binomial(present, scenario.withdrawal)
            changing = random.binomial(present, scenario.change)
            present += random.multinomial(changing.sum(axis=1), shares) - changing
            present += _new_devices(int(replaced.sum() + absent_replaced), asked, every, shares, random)
        yield present[step % every]


def _new_devices(devices: int, asked: float, every: int, shares: Floats, random: np.random.Generator) -> Integers:
    """Draw the number of new devices that answer, by phase and value: an int array of shape (every, segments)."""
    phases = random.multinomial(random.binomial(devices, asked), np.full(every, 1 / every))
    counts: Integers = random.multinomial(phases, shares)
    return counts
