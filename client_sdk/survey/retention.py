"""Retention: how long reports of an epoch are accepted, and how long their counts are stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from hushtally.client_sdk.survey.epochs import EpochLength


@dataclass(frozen=True)
class Retention:
    """The retention of a survey's counts: `days` whole days after the last day on which reports are accepted."""

    epoch: EpochLength
    days: int

    @classmethod
    def stated(cls, definition: Mapping[str, Any]) -> Retention:
        """The retention in a resolved survey. It stays readable if this version cannot read the rest of the survey.

        Raises KeyError, TypeError or ValueError if the definition states no retention.
        """
        return cls(EpochLength(definition["epoch"]), definition["retention_days"])

    def accepted_until(self, day: date) -> date:
        """The last day on which reports of the day's epoch are accepted: the end of the next epoch."""
        return self.epoch.end(self.epoch.next(day))

    def erased_on(self, epoch: str) -> date:
        """The day on which the counts of an epoch are deleted. epoch: the label of the epoch."""
        return self.accepted_until(self.epoch.first_day(epoch)) + timedelta(days=self.days + 1)
