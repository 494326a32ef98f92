"""Scenarios: how many devices there are, how their owners spread over the segments, and what happens over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

from hushtally.aggregator.errors import ArgumentError
from hushtally.aggregator.estimate import estimate
from hushtally.aggregator.intervals import Booleans, Floats, Interval, detected, share_interval
from hushtally.aggregator.support import support_counts
from hushtally.aggregator.tally import Integers, Tally
from hushtally.client_sdk.mechanisms import Mechanism, Rappor
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.questions import Question
from hushtally.simulations.population.population import MOST_DEVICES, Population


class Collected(NamedTuple):
    """What came of one question in one epoch: the number of reports, and how many of them support each value.

    tally: the symbols themselves, where values share bits (rappor) and support counts are not enough.
    """

    n: int
    supporting: Integers | None
    tally: Tally | None = None

    @classmethod
    def of(cls, mechanism: Mechanism, tally: Tally) -> Self:
        """What estimates need of a tally."""
        if isinstance(mechanism, Rappor):
            return cls(tally.n, None, tally)
        return cls(tally.n, support_counts(mechanism, tally))

    def estimate(self, mechanism: Mechanism, confidence: float) -> tuple[Floats, Interval, Booleans]:
        """The shares, their intervals and which were detected, as the aggregator makes them; n >= 1."""
        if self.supporting is None:
            assert self.tally is not None
            found = estimate(mechanism, self.tally, confidence)
            return found.estimate, Interval(found.low, found.high), found.detected
        channel, counts = mechanism.channel, (self.supporting, self.n)
        interval = share_interval(channel, *counts, confidence)
        return channel.debias(*counts), interval, detected(channel, *counts, confidence)


@dataclass(frozen=True)
class Scenario:
    """A number of places for a device, filled from a population, followed over the survey's first epochs.

    participation: chance that a device's owner agrees to take part. From one epoch to the next, in this order:
    turnover: chance that a device goes and a new one comes in its place; withdrawal: that a device that stays
    withdraws its consent, for good; change: that the answers of one that stays are drawn anew. Devices draw their
    answers question by question from `population`, or, if `then` is given, from shares that move from the one to the
    other in equal steps. ArgumentError for numbers outside their range.
    """

    devices: int
    population: Population
    then: Population | None = None
    epochs: int = 1
    participation: float = 1.0
    change: float = 0.0
    turnover: float = 0.0
    withdrawal: float = 0.0

    def __post_init__(self) -> None:
        for name in ("devices", "epochs"):
            if getattr(self, name) < 1:
                raise ArgumentError(name, f"must be at least 1, got {getattr(self, name)}")
        if self.devices > MOST_DEVICES:
            raise ArgumentError("devices", f"must be at most {MOST_DEVICES:,}, got {self.devices:,}")
        for name in ("participation", "change", "turnover", "withdrawal"):
            if not 0 <= getattr(self, name) <= 1:
                raise ArgumentError(name, f"must be at least 0 and at most 1, got {getattr(self, name):g}")
        for name in ("change", "turnover", "withdrawal"):
            if self.epochs == 1 and getattr(self, name):
                raise ArgumentError(name, "happens between epochs: epochs must be more than 1 with it, got 1")
        if self.then is not None and (self.epochs == 1 or not (self.change or self.turnover)):
            raise ArgumentError(
                "then",
                "moves shares from epoch to epoch: epochs must be more than 1 with it, and change or turnover above 0,"
                f" got {self.epochs}, {self.change:g} and {self.turnover:g}",
            )

    def drawn(self, question: Question, step: int) -> Floats:
        """The shares from which answers are drawn in an epoch, step = 0 in the survey's first."""
        shares = self.population.shares(question)
        if self.then is None:
            return shares
        moved = step / (self.epochs - 1)
        return (1 - moved) * shares + moved * self.then.shares(question)

    def truths(self, question: Question) -> list[Floats]:
        """The expected share of devices in every segment, epoch by epoch: what the intervals are to hold."""
        renewed = 1 - (1 - self.turnover) * (1 - self.change)
        truths = [self.drawn(question, 0)]
        for step in range(1, self.epochs):
            truths.append((1 - renewed) * truths[-1] + renewed * self.drawn(question, step))
        return truths


def labels(survey: Survey, epochs: int) -> list[str]:
    """The labels of a survey's first epochs; ArgumentError if it does not have so many."""
    if epochs > survey.epochs:
        raise ArgumentError("epochs", f"must be at most the {survey.epochs} of {survey.name}, got {epochs}")
    day, found = survey.starts, []
    for _ in range(epochs):
        found.append(survey.epoch.label(day))
        day = survey.epoch.next(day)
    return found
