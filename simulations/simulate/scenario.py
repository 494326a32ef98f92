"""Scenarios: the number of devices, the segments of their owners, and changes over time."""

from __future__ import annotations

from dataclasses import dataclass

from hushtally.aggregator.errors import ArgumentError
from hushtally.aggregator.intervals import Floats
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.questions import Question
from hushtally.simulations.population.population import MAX_DEVICES, Population


@dataclass(frozen=True)
class Scenario:
    """A fixed number of devices, with answers drawn from a population, over the first epochs of a survey.

    participation: probability that the owner of a device agrees to take part. Three changes happen from one epoch to
    the next, in this order. turnover: probability that a new device replaces a device. withdrawal: probability that the
    owner of any other device withdraws consent for good. change: probability that the answers of any other device are
    drawn anew. Answers are drawn question by question from `population`. If `then` is given, the shares move from
    `population` to `then` in equal steps. Raises ArgumentError for a value outside its range.
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
        if self.devices > MAX_DEVICES:
            raise ArgumentError("devices", f"must be at most {MAX_DEVICES:,}, got {self.devices:,}")
        for name in ("participation", "change", "turnover", "withdrawal"):
            if not 0 <= getattr(self, name) <= 1:
                raise ArgumentError(name, f"must be at least 0 and at most 1, got {getattr(self, name):g}")
        for name in ("change", "turnover", "withdrawal"):
            if self.epochs == 1 and getattr(self, name):
                raise ArgumentError(name, "needs more than 1 epoch, because it happens between epochs; got epochs = 1")
        if self.then is not None and (self.epochs == 1 or not (self.change or self.turnover)):
            raise ArgumentError(
                "then",
                "needs more than 1 epoch, and change or turnover above 0, because only new answers follow the shares;"
                f" got epochs = {self.epochs}, change = {self.change:g}, turnover = {self.turnover:g}",
            )

    def drawn_shares(self, question: Question, step: int) -> Floats:
        """Return the shares from which new answers are drawn in an epoch. Step 0 is the first epoch of the survey."""
        shares = self.population.shares(question)
        if self.then is None:
            return shares
        progress = step / (self.epochs - 1)
        return (1 - progress) * shares + progress * self.then.shares(question)

    def true_shares(self, question: Question) -> list[Floats]:
        """Return the expected share of devices in each segment, by epoch. The intervals should contain these shares."""
        renewed = 1 - (1 - self.turnover) * (1 - self.change)
        shares = [self.drawn_shares(question, 0)]
        for step in range(1, self.epochs):
            shares.append((1 - renewed) * shares[-1] + renewed * self.drawn_shares(question, step))
        return shares


def epoch_labels(survey: Survey, epochs: int) -> list[str]:
    """Return the labels of the first epochs of a survey. Raises ArgumentError if the survey has fewer epochs."""
    if epochs > survey.epochs:
        raise ArgumentError("epochs", f"must be at most {survey.epochs}, the epochs of {survey.name}; got {epochs}")
    day, labels = survey.starts, []
    for _ in range(epochs):
        labels.append(survey.epoch.label(day))
        day = survey.epoch.next(day)
    return labels
