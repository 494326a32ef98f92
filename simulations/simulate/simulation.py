"""Simulations: a survey run on a population whose truth is known, again and again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from hushtally.aggregator.errors import ArgumentError
from hushtally.aggregator.intervals import Floats
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.questions import Question
from hushtally.simulations.accuracy import CONFIDENCE
from hushtally.simulations.simulate import client_engine, tally_engine
from hushtally.simulations.simulate.scenario import Collected, Scenario, labels

ENGINES = {"tallies": tally_engine.collect, "clients": client_engine.collect}


@dataclass(frozen=True)
class Outcome:
    """One segment in one epoch, over all repetitions; the fields are the stable keys of JSON and CSV.

    reports: the mean. truth: the expected share. estimate: the mean; low, high: the interval of the first repetition.
    error: root of the mean squared error. half_width: the mean. coverage: how often the interval held the truth;
    detected: how often the lower end of the one-sided interval was above zero. published: repetitions with enough
    reports; the other figures are of these, None if there is none.
    """

    survey: str
    version: int
    engine: str
    question: str
    epoch: str
    segment: str
    repetitions: int
    reports: float
    truth: float
    published: int
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    error: float | None = None
    half_width: float | None = None
    coverage: float | None = None
    detected: float | None = None


@dataclass
class _Sums:
    """Figures of one question in one epoch, added up over the repetitions that are published."""

    published: int = 0
    reports: int = 0
    first: tuple[Floats, Floats] | None = None
    sums: dict[str, Floats] = field(default_factory=dict)

    def add(self, question: Question, collected: Collected, truth: Floats, confidence: float, least: int) -> None:
        self.reports += collected.n
        if collected.n < max(least, 1):
            return
        estimate, (low, high), told = collected.estimate(question.mechanism, confidence)
        figures: dict[str, Floats] = {
            "estimate": estimate,
            "error": (estimate - truth) ** 2,
            "half_width": (high - low) / 2,
            "coverage": ((low <= truth) & (truth <= high)).astype(np.float64),
            "detected": told.astype(np.float64),
        }
        for name, figure in figures.items():
            self.sums[name] = self.sums[name] + figure if name in self.sums else figure
        self.first = self.first or (low, high)
        self.published += 1


def simulate(
    survey: Survey,
    scenario: Scenario,
    engine: str = "tallies",
    repetitions: int = 1,
    seed: int = 0,
    confidence: float = CONFIDENCE,
    progress: Callable[[], object] = lambda: None,
) -> list[Outcome]:
    """Runs a scenario and compares estimates with the truth: question by question, epoch by epoch, in their order.

    engine: "tallies" draws what a crowd of up to 10^9 devices sends straight from the mechanisms, "clients" runs the
    real client and collector for up to 200,000. Equal seeds, equal results. progress: called `steps` times.
    """
    if engine not in ENGINES:
        raise ArgumentError("engine", f"must be one of {', '.join(ENGINES)}, got {engine!r}")
    if repetitions < 1:
        raise ArgumentError("repetitions", f"must be at least 1, got {repetitions}")
    epochs = labels(survey, scenario.epochs)
    truths = {question.id: scenario.truths(question) for question in survey.asked}
    sums: dict[tuple[str, int], _Sums] = {
        (question.id, step): _Sums() for question in survey.asked for step in range(len(epochs))
    }
    for repetition in range(repetitions):
        collected = ENGINES[engine](survey, scenario, (seed, repetition), progress)
        for (id, step), one in collected.items():
            question = survey.question(id)
            sums[id, step].add(question, one, truths[id][step], confidence, survey.min_reports)
    return [
        outcome
        for question in survey.asked
        for step, epoch in enumerate(epochs)
        for outcome in _outcomes(
            survey, engine, question, epoch, repetitions, truths[question.id][step], sums[question.id, step]
        )
    ]


def steps(survey: Survey, scenario: Scenario, engine: str, repetitions: int) -> int:
    """How often a simulation reports progress."""
    return repetitions * (
        client_engine.steps(scenario) if engine == "clients" else tally_engine.steps(survey, scenario)
    )


def _outcomes(
    survey: Survey, engine: str, question: Question, epoch: str, repetitions: int, truth: Floats, sums: _Sums
) -> list[Outcome]:
    found = []
    means: Mapping[str, Floats] = {name: figure / sums.published for name, figure in sums.sums.items()}
    for index, segment in enumerate(question.segments):
        figures = {name: float(mean[index]) for name, mean in means.items()}
        if sums.first is not None:
            figures |= {"low": float(sums.first[0][index]), "high": float(sums.first[1][index])}
            figures["error"] = float(np.sqrt(figures["error"]))
        found.append(
            Outcome(
                survey.id, survey.version, engine, question.id, epoch, segment, repetitions,
                sums.reports / repetitions, float(truth[index]), sums.published, **figures,
            )
        )  # fmt: skip
    return found
