"""Forecasts: the accuracy of one question and the epsilon that a device reveals, before any report arrives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hushtally.aggregator.intervals import comparisons, one_sided, simultaneous
from hushtally.client_sdk.explain.belief import PRIOR, belief_bound
from hushtally.client_sdk.mechanisms import Rappor
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.questions import Question
from hushtally.simulations.accuracy import (
    detectable_share,
    half_widths,
    plain_equivalent,
    power,
    reports_for_half_width,
)
from hushtally.simulations.errors import SimulationError
from hushtally.simulations.population.population import Population
from hushtally.simulations.tune.constraints import Constraints
from hushtally.simulations.tune.lifetime import lifetime_epsilon, protection


@dataclass(frozen=True)
class Forecast:
    """The forecast of one question of one survey. The fields are the stable keys of JSON and CSV.

    epsilon: of the survey's privacy table. question_epsilon: of the question, which may differ. reports: expected
    number per epoch. half_widths: of the interval of each segment, as shares. half_width: the largest half-width.
    detectable_share: the smallest share that a one-sided interval distinguishes from zero with power 0.8; None if there
    is none. power_displayed, power_simultaneous: the power of the two-sided and of the simultaneous interval at that
    share. devices_for_target: number of devices that meet the target and the minimum number of reports.
    plain_equivalent: number of answers without randomization that are equally precise. lifetime_epsilon: of one device
    and all its questions. belief_one_report, belief_lifetime: how sure an observer who was 10% sure of a segment can be
    after one report and after all reports, in [0, 1].
    """

    survey: str
    version: int
    epsilon: float
    memory: str
    answers_every: int
    recommended: bool
    question: str
    question_epsilon: float
    mechanism: str
    segments: int
    symbols: int
    reports: int
    published: bool
    half_width: float
    detectable_share: float | None
    power_displayed: float | None
    power_simultaneous: float | None
    devices_for_target: int
    plain_equivalent: float
    lifetime_epsilon: float
    belief_one_report: float
    belief_lifetime: float
    protects: str
    half_widths: Mapping[str, float]


def forecast(survey: Survey, question: Question, constraints: Constraints, population: Population) -> Forecast:
    """Forecast the accuracy of a question for the devices in the constraints.

    Raises SimulationError for rappor. Its values share bits, so its accuracy has no formula and must be simulated.
    """
    if isinstance(question.mechanism, Rappor):
        raise SimulationError(
            f"cannot forecast the accuracy of rappor ({question.id}); run `hushtally simulate` instead"
        )
    channel, n = question.mechanism.channel, constraints.reports(survey)
    shares = population.shares(question)
    halves = half_widths(channel, shares, n, constraints.confidence)
    widest = int(np.argmax(halves))
    needed = reports_for_half_width(channel, float(shares[widest]), constraints.target, constraints.confidence)
    detectable = detectable_share(channel, n, confidence=one_sided(constraints.confidence))
    joint_confidence = simultaneous(constraints.confidence, comparisons(question.mechanism))
    lifetime = lifetime_epsilon(survey, constraints.epochs)
    return Forecast(
        survey=survey.id,
        version=survey.version,
        epsilon=survey.privacy.epsilon,
        memory=survey.privacy.memory,
        answers_every=survey.privacy.answers_every,
        recommended=False,
        question=question.id,
        question_epsilon=question.epsilon,
        mechanism=question.mechanism.label,
        segments=len(shares),
        symbols=question.mechanism.symbols,
        reports=n,
        published=n >= survey.min_reports,
        half_width=float(halves[widest]),
        detectable_share=detectable,
        power_displayed=None if detectable is None else power(channel, detectable, n, constraints.confidence),
        power_simultaneous=None if detectable is None else power(channel, detectable, n, joint_confidence),
        devices_for_target=constraints.devices_for(survey, max(needed, survey.min_reports)),
        plain_equivalent=plain_equivalent(channel, float(shares[widest]), n),
        lifetime_epsilon=lifetime,
        belief_one_report=belief_bound(PRIOR, question.epsilon),
        belief_lifetime=belief_bound(PRIOR, lifetime),
        protects=protection(survey, constraints.epochs),
        half_widths=dict(zip(question.segments, halves.tolist(), strict=True)),
    )
