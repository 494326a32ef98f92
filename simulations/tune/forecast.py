"""Outlooks: what one question of a survey can be told, and what it reveals, with so many devices."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hushtally.aggregator.errors import ArgumentError
from hushtally.aggregator.intervals import comparisons, one_sided, simultaneous
from hushtally.client_sdk.explain.advice import ADVISED_LIFETIME_EPSILON
from hushtally.client_sdk.explain.belief import PRIOR, belief_bound
from hushtally.client_sdk.explain.wording import counted
from hushtally.client_sdk.mechanisms import EPSILON_RANGE, Rappor
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.privacy import within_ceiling
from hushtally.client_sdk.survey.questions import Question
from hushtally.simulations.accuracy import (
    CONFIDENCE,
    detectable_share,
    half_widths,
    plain_equivalent,
    power,
    reports_for_half_width,
)
from hushtally.simulations.errors import SimulationError
from hushtally.simulations.population.population import Population

IN_ALL = "in all"


@dataclass(frozen=True)
class Demand:
    """What is to be reached with what: devices that hold the app, the share of them that takes part, and the target.

    target: half the length of the interval of every segment, per epoch, as a share. epochs: look at so many, from the
    survey's first; all of them by default. ceiling: the most that a device may reveal in all of them; by default what
    `hushtally survey check` does not warn of.
    """

    devices: int
    participation: float = 1.0
    target: float = 0.01
    epochs: int | None = None
    ceiling: float = ADVISED_LIFETIME_EPSILON
    confidence: float = CONFIDENCE

    def __post_init__(self) -> None:
        if self.devices < 1:
            raise ArgumentError("devices", f"must be at least 1, got {self.devices}")
        if not 0 < self.participation <= 1:
            raise ArgumentError("participation", f"must be above 0 and at most 1, got {self.participation:g}")
        if not 0 < self.target < 1:
            raise ArgumentError("target", f"must be above 0 and below 1, got {self.target:g}")
        if not EPSILON_RANGE[0] <= self.ceiling < math.inf:
            raise ArgumentError("ceiling", f"must be at least {EPSILON_RANGE[0]:g} and finite, got {self.ceiling:g}")
        if not 0.5 < self.confidence < 1:
            raise ArgumentError("confidence", f"must be above 0.5 and below 1, got {self.confidence:g}")

    def reports(self, survey: Survey) -> int:
        """The reports to be expected per question and epoch; ArgumentError if there is none."""
        reports = round(self.devices * self.participation * reports_per_device(survey))
        if not reports:
            raise ArgumentError(
                "devices",
                f"must be more than {self.devices:,}: not one report per question and {survey.epoch} would come",
            )
        return reports

    def span(self, survey: Survey) -> str:
        """The time in which reports are counted together, in words: "in all", or like "in 4 weeks"."""
        if self.epochs is None or self.epochs >= survey.epochs:
            return IN_ALL
        return f"in {counted(self.epochs, survey.epoch)}"

    def accurate(self, rows: Sequence[Outlook]) -> bool:
        """Whether all questions are published and every segment is within the target."""
        return all(row.published and row.half_width <= self.target for row in rows)

    def allowed(self, rows: Sequence[Outlook]) -> bool:
        """Whether no more is revealed than the ceiling."""
        return all(within_ceiling(row.lifetime_epsilon, self.ceiling) for row in rows)

    def devices_for(self, survey: Survey, reports: int) -> int:
        """The devices that send so many reports per question and epoch."""
        return math.ceil(reports / (self.participation * reports_per_device(survey)))


def reports_per_device(survey: Survey) -> float:
    """How many reports on one question a taking-part device sends per epoch, on average."""
    privacy = survey.privacy
    return privacy.questions_per_device / len(survey.asked) / privacy.answers_every


def lifetime_epsilon(survey: Survey, epochs: int | None = None) -> float:
    """What all reports of a device together may reveal in the first so many epochs of a survey (None: in all).

    With permanent memory an epoch can bring one new answer, until the changes are used up.
    """
    if epochs is None:
        return survey.lifetime_epsilon
    return survey.lifetime_epsilon * min(_answers(survey, epochs), survey.charges) / survey.charges


def _answers(survey: Survey, epochs: int | None) -> int:
    """The answers of a device in the first so many epochs (None: in all)."""
    return survey.answers if epochs is None else min(math.ceil(epochs / survey.privacy.answers_every), survey.answers)


@dataclass(frozen=True)
class Outlook:
    """What one question can be told by one form of the survey; the fields are the stable keys of JSON and CSV.

    epsilon: of the survey's privacy table; question_epsilon: of the question, which may have its own. reports: per
    epoch. half_width: the widest of half_widths, of the intervals per segment, as shares. detectable_share: the
    smallest that is told from zero (lower end of the one-sided interval above it) with power 0.8, None if none is;
    power_displayed and power_simultaneous: what the two-sided and the simultaneous interval have there.
    devices_for_target: so that half_width is the target and enough reports come to be published. plain_equivalent:
    answers without privacy that are as precise. lifetime_epsilon: of a device, all its questions. belief: how sure an
    observer can be about one segment who was 10% sure, from one report and from all.
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


def outlook(survey: Survey, question: Question, demand: Demand, population: Population) -> Outlook:
    """What `question` of the survey can be told with the demand's devices.

    SimulationError for rappor, whose values share bits: only a simulation tells how well they are told apart.
    """
    if isinstance(question.mechanism, Rappor):
        raise SimulationError(
            f"the accuracy of rappor ({question.id}) cannot be planned; `hushtally simulate` draws it"
        )
    channel, n = question.mechanism.channel, demand.reports(survey)
    shares = population.shares(question)
    halves = half_widths(channel, shares, n, demand.confidence)
    widest = int(np.argmax(halves))
    needed = reports_for_half_width(channel, float(shares[widest]), demand.target, demand.confidence)
    least = detectable_share(channel, n, confidence=one_sided(demand.confidence))
    together = simultaneous(demand.confidence, comparisons(question.mechanism))
    lifetime = lifetime_epsilon(survey, demand.epochs)
    return Outlook(
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
        detectable_share=least,
        power_displayed=None if least is None else power(channel, least, n, demand.confidence),
        power_simultaneous=None if least is None else power(channel, least, n, together),
        devices_for_target=demand.devices_for(survey, max(needed, survey.min_reports)),
        plain_equivalent=plain_equivalent(channel, float(shares[widest]), n),
        lifetime_epsilon=lifetime,
        belief_one_report=belief_bound(PRIOR, question.epsilon),
        belief_lifetime=belief_bound(PRIOR, lifetime),
        protects=protection(survey, demand.epochs),
        half_widths=dict(zip(question.segments, halves.tolist(), strict=True)),
    )


def protection(survey: Survey, epochs: int | None = None) -> str:
    """What the survey's kind of memory protects in its first so many epochs (None: in all), and what it does not."""
    if survey.permanent:
        return (
            f"what was answered, with up to {counted(survey.privacy.changes or 0, 'change')}; not whether and when an"
            " answer changed, from whoever can link a device's reports"
        )
    answers = _answers(survey, epochs)
    return f"whatever the customer did, in {'the one answer' if answers == 1 else f'all {answers} answers together'}"
