"""Constraints on a survey: the available devices, the target accuracy, and the ceiling of the lifetime epsilon."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hushtally.aggregator.errors import ArgumentError
from hushtally.client_sdk.explain.advice import ADVISED_LIFETIME_EPSILON
from hushtally.client_sdk.explain.wording import counted
from hushtally.client_sdk.mechanisms import EPSILON_RANGE
from hushtally.client_sdk.survey import Survey
from hushtally.simulations.accuracy import CONFIDENCE

WHOLE_SURVEY = "over the whole survey"


@dataclass(frozen=True)
class Constraints:
    """The available devices of a survey, and its required accuracy and privacy.

    participation: share of the devices that take part. target: largest half-width of the interval of any segment in one
    epoch, as a share. epochs: the number of epochs, from the first, that the lifetime epsilon covers; None means all.
    ceiling: largest lifetime epsilon of a device. The default is the largest value without a warning from `hushtally
    survey check`. Raises ArgumentError for a value outside its range.
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
        """Return the expected number of reports per question and epoch. Raises ArgumentError if it rounds to 0."""
        reports = round(self.devices * self.participation * reports_per_device(survey))
        if not reports:
            raise ArgumentError(
                "devices",
                f"must be more than {self.devices:,}: fewer than one report is expected per question and"
                f" {survey.epoch}",
            )
        return reports

    def period(self, survey: Survey) -> str:
        """Return the period that the lifetime epsilon covers, like "over the whole survey" or "in 4 weeks"."""
        if self.epochs is None or self.epochs >= survey.epochs:
            return WHOLE_SURVEY
        return f"in {counted(self.epochs, survey.epoch)}"

    def devices_for(self, survey: Survey, reports: int) -> int:
        """Return the number of devices that send this number of reports per question and epoch."""
        return math.ceil(reports / (self.participation * reports_per_device(survey)))


def reports_per_device(survey: Survey) -> float:
    """Return the mean number of reports that a participating device sends per question and epoch."""
    privacy = survey.privacy
    return privacy.questions_per_device / len(survey.asked) / privacy.answers_every
