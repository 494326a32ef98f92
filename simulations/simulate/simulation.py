"""Simulations: repeated runs of a survey on a population whose true shares are known."""

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
from hushtally.simulations.simulate.epoch_counts import EpochCounts
from hushtally.simulations.simulate.scenario import Scenario, epoch_labels

ENGINES = {"tallies": tally_engine.run, "clients": client_engine.run}


@dataclass(frozen=True)
class Outcome:
    """One segment in one epoch, over all repetitions. The fields are the stable keys of JSON and CSV.

    reports: mean number. truth: expected share. published: number of repetitions with enough reports. The following
    figures cover these repetitions only, and are None if there is none. estimate: mean. low, high: interval of the
    first repetition. error: root mean square error. half_width: mean. coverage: share of repetitions whose interval
    contains the true value. detected: share of repetitions whose one-sided interval is above zero.
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
class _Totals:
    """The figures of one question in one epoch, summed over the published repetitions."""

    published: int = 0
    reports: int = 0
    first_interval: tuple[Floats, Floats] | None = None
    sums: dict[str, Floats] = field(default_factory=dict)

    def add(self, question: Question, counts: EpochCounts, truth: Floats, confidence: float, min_reports: int) -> None:
        """Add one repetition."""
        self.reports += counts.n
        if counts.n < max(min_reports, 1):
            return
        estimate, (low, high), detected = counts.estimate(question.mechanism, confidence)
        figures: dict[str, Floats] = {
            "estimate": estimate,
            "error": (estimate - truth) ** 2,
            "half_width": (high - low) / 2,
            "coverage": ((low <= truth) & (truth <= high)).astype(np.float64),
            "detected": detected.astype(np.float64),
        }
        for name, figure in figures.items():
            self.sums[name] = self.sums[name] + figure if name in self.sums else figure
        self.first_interval = self.first_interval or (low, high)
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
    """Run a scenario, and compare the estimates with the true shares, by question and epoch.

    engine: "tallies" draws the counts of up to 10^9 devices from the mechanisms; "clients" runs the real client and
    collector for up to 200,000 devices. Equal seeds give equal results. progress: called `progress_steps` times. Raises
    ArgumentError for a value outside its range.
    """
    if engine not in ENGINES:
        raise ArgumentError("engine", f"must be one of {', '.join(ENGINES)}, got {engine!r}")
    if repetitions < 1:
        raise ArgumentError("repetitions", f"must be at least 1, got {repetitions}")
    epochs = epoch_labels(survey, scenario.epochs)
    truths = {question.id: scenario.true_shares(question) for question in survey.asked}
    totals = {(question.id, step): _Totals() for question in survey.asked for step in range(len(epochs))}
    for repetition in range(repetitions):
        counts = ENGINES[engine](survey, scenario, (seed, repetition), progress)
        for (id, step), one in counts.items():
            totals[id, step].add(survey.question(id), one, truths[id][step], confidence, survey.min_reports)
    return [
        outcome
        for question in survey.asked
        for step, epoch in enumerate(epochs)
        for outcome in _outcomes(
            survey, engine, question, epoch, repetitions, truths[question.id][step], totals[question.id, step]
        )
    ]


def progress_steps(survey: Survey, scenario: Scenario, engine: str, repetitions: int) -> int:
    """Return the number of times that `simulate` calls progress."""
    if engine == "clients":
        return repetitions * client_engine.progress_steps(scenario)
    return repetitions * tally_engine.progress_steps(survey, scenario)


def _outcomes(
    survey: Survey, engine: str, question: Question, epoch: str, repetitions: int, truth: Floats, totals: _Totals
) -> list[Outcome]:
    outcomes = []
    means: Mapping[str, Floats] = {name: figure / totals.published for name, figure in totals.sums.items()}
    for index, segment in enumerate(question.segments):
        figures = {name: float(mean[index]) for name, mean in means.items()}
        if totals.first_interval is not None:
            low, high = totals.first_interval
            figures |= {"low": float(low[index]), "high": float(high[index])}
            figures["error"] = float(np.sqrt(figures["error"]))
        outcomes.append(
            Outcome(
                survey.id, survey.version, engine, question.id, epoch, segment, repetitions,
                totals.reports / repetitions, float(truth[index]), totals.published, **figures,
            )
        )  # fmt: skip
    return outcomes
