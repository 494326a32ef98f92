"""A crowd: up to a billion devices as counts, whose reports are drawn straight from the mechanisms."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from hushtally.aggregator.intervals import Floats
from hushtally.aggregator.tally import Integers
from hushtally.client_sdk.mechanisms import Rappor
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.questions import Question
from hushtally.simulations.sampling import draw_supporting, draw_tally
from hushtally.simulations.simulate.permanent_memory import can_remember, remembered
from hushtally.simulations.simulate.scenario import Collected, Scenario


def collect(
    survey: Survey, scenario: Scenario, seed: tuple[int, ...], progress: Callable[[], object] = lambda: None
) -> dict[tuple[str, int], Collected]:
    """What comes of every question in every epoch, by question id and step; equal seeds, equal results.

    Exact for each question: devices that answer it, come, go, withdraw and change are drawn as counts by value and
    phase, their reports with the joint distribution over all segments. Up to a million devices with permanent memory
    are followed one by one. Drawn apart: the questions of one device, and what more devices, or those of unary
    encodings and rappor, remember between epochs (see `forgetful`).
    """
    found = {}
    for number, question in enumerate(survey.asked):
        random = np.random.default_rng([*seed, number])
        for step, one in enumerate(_collected(survey, question, scenario, random)):
            found[question.id, step] = one
            progress()
    return found


def steps(survey: Survey, scenario: Scenario) -> int:
    """How often `collect` reports progress: for every question in every epoch."""
    return len(survey.asked) * scenario.epochs


def forgetful(survey: Survey, scenario: Scenario) -> bool:
    """Whether devices have a memory between epochs that a crowd of this size does not have."""
    return survey.permanent and scenario.epochs > 1 and not all(can_remember(one, scenario) for one in survey.asked)


def _collected(
    survey: Survey, question: Question, scenario: Scenario, random: np.random.Generator
) -> Iterator[Collected]:
    mechanism = question.mechanism
    if scenario.epochs > 1 and can_remember(question, scenario):
        for tally in remembered(survey, question, scenario, random):
            yield Collected.of(mechanism, tally)
        return
    for holders in _holders(survey, question, scenario, random):
        if isinstance(mechanism, Rappor):
            yield Collected.of(mechanism, draw_tally(mechanism, holders, random))
        else:
            yield Collected(int(holders.sum()), draw_supporting(mechanism, holders, random))


def _holders(survey: Survey, question: Question, scenario: Scenario, random: np.random.Generator) -> Iterator[Integers]:
    """For every epoch how many devices of each value answer the question in it."""
    every = survey.privacy.answers_every
    asked = scenario.participation * survey.privacy.questions_per_device / len(survey.asked)
    present = _arrivals(scenario.devices, asked, every, scenario.drawn(question, 0), random)
    for step in range(scenario.epochs):
        if step:
            shares = scenario.drawn(question, step)
            gone = random.binomial(present, scenario.turnover)
            others = random.binomial(scenario.devices - present.sum(), scenario.turnover)
            present -= gone
            present -= random.binomial(present, scenario.withdrawal)
            changing = random.binomial(present, scenario.change)
            present += random.multinomial(changing.sum(axis=1), shares) - changing
            present += _arrivals(int(gone.sum() + others), asked, every, shares, random)
        yield present[step % every]


def _arrivals(devices: int, asked: float, every: int, shares: Floats, random: np.random.Generator) -> Integers:
    """New devices that answer the question, by phase and value; int array of shape (every, segments)."""
    phases = random.multinomial(random.binomial(devices, asked), np.full(every, 1 / every))
    arrived: Integers = random.multinomial(phases, shares)
    return arrived
