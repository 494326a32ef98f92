"""Remedies: what would meet a target that a survey cannot meet."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from client_sdk.epochs import EpochLength
from client_sdk.errors import SurveyError
from client_sdk.mechanisms import build
from client_sdk.mechanisms.base import EPSILON_RANGE
from client_sdk.questions import Question
from client_sdk.survey import Survey
from simulations.definition import Definition
from simulations.outlook import Demand
from simulations.planning import half_widths, reports_for_half_width
from simulations.population import Population

LONGER = {EpochLength.DAY: (EpochLength.WEEK, 7), EpochLength.WEEK: (EpochLength.MONTH, 4)}


@dataclass(frozen=True)
class Remedy:
    """One change of a survey or its circumstances: what it is, the devices that then meet the target, if enough."""

    change: str
    devices: int
    enough: bool


def remedies(definition: Definition, epsilon: float, demand: Demand, population: Population) -> list[Remedy]:
    """What would meet the demand's target at an epsilon: devices, longer epochs, fewer questions or coarser ones.

    Each by itself, and such that a device reveals no more in all than it does now.
    """
    survey = definition.at(epsilon)
    needed = {question.id: _needed(question, demand, population, survey.min_reports) for question in survey.asked}
    worst = survey.question(max(needed, key=needed.__getitem__))
    devices = demand.devices_for(survey, max(needed.values()))
    found = [Remedy(f"{round_up(devices):,} devices", devices, True)]
    found += _longer_epochs(definition, survey, demand, population, devices)
    found += _fewer_questions(survey, devices)
    found += _coarser(survey, worst, demand, devices, sorted(needed.values()))
    return [Remedy(one.change, one.devices, one.enough or one.devices <= demand.devices) for one in found]


def _needed(question: Question, demand: Demand, population: Population, min_reports: int) -> int:
    shares = population.shares(question)
    channel = question.mechanism.channel
    widest = float(shares[int(np.argmax(half_widths(channel, shares, min_reports, demand.confidence)))])
    return max(reports_for_half_width(channel, widest, demand.target, demand.confidence), min_reports)


def _longer_epochs(
    definition: Definition, survey: Survey, demand: Demand, population: Population, devices: int
) -> list[Remedy]:
    """Where devices answer in some epochs only: in every one of the longer ones. Else: a larger epsilon, less often."""
    if survey.epoch not in LONGER:
        return []
    (longer, times), every = LONGER[survey.epoch], survey.privacy.answers_every
    if every > 1:
        seldom = math.ceil(every / times)
        change = f'epoch = "{longer}" with answers_every = {seldom}'
        return [Remedy(change, math.ceil(devices * seldom / every), False)]
    epsilon = min(times * survey.privacy.epsilon, EPSILON_RANGE[1])
    try:
        other = definition.at(epsilon)
    except SurveyError:
        return []
    if survey.permanent or survey.epochs < times:
        return []
    needed = max(_needed(question, demand, population, survey.min_reports) for question in other.asked)
    change = f'epoch = "{longer}" with epsilon {epsilon:g}, which reveals no more in all'
    return [Remedy(change, demand.devices_for(other, needed), False)]


def _fewer_questions(survey: Survey, devices: int) -> list[Remedy]:
    asked, each = len(survey.asked), survey.privacy.questions_per_device
    if asked == each:
        return []
    word = "question" if each == 1 else "questions"
    return [Remedy(f"asking {each} {word} instead of {asked}", math.ceil(devices * each / asked), False)]


def _coarser(survey: Survey, worst: Question, demand: Demand, devices: int, needed: list[int]) -> list[Remedy]:
    """The question that needs most, with half its segments, a quarter, ...: as many as meet the target, or two."""
    floor = needed[-2] if len(needed) > 1 else survey.min_reports
    segments, best = len(worst.segments), None
    while segments > 2 and (best is None or not best.devices <= demand.devices):
        segments = max(segments // 2, 2)
        mechanism = build("auto", {}, segments, worst.epsilon, worst.epsilon_permanent)
        reports = reports_for_half_width(mechanism.channel, 1 / segments, demand.target, demand.confidence)
        fitting = demand.devices_for(survey, max(reports, floor, survey.min_reports))
        if fitting < (best.devices if best else devices):
            best = Remedy(f"{segments} segments in {worst.id} instead of {len(worst.segments):,}", fitting, False)
    return [best] if best else []


def points(share: float) -> str:
    """A share as percentage points, with two digits that count."""
    if share > 1:
        return "more than 100 points"
    number = float(f"{100 * share:.2g}")
    return f"{number:g} point{'' if number == 1 else 's'}"


def round_up(number: int) -> int:
    """A number of devices with two digits that count, rounded up."""
    unit = int(10 ** max(len(str(number)) - 2, 0))
    return -(-number // unit) * unit
