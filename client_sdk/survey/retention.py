"""Retention: how long the reports of an epoch are accepted, and how long their counts are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from hushtally.client_sdk.survey.epochs import EpochLength


@dataclass(frozen=True)
class Retention:
    """Counts are kept for so many whole days after the last one on which reports of their epoch are accepted."""

    epoch: EpochLength
    days: int

    @classmethod
    def stated(cls, definition: Mapping[str, Any]) -> Retention:
        """What a resolved survey states, whatever else it holds: this must be readable when the rest is not.

        Raises KeyError, TypeError or ValueError when it is not.
        """
        return cls(EpochLength(definition["epoch"]), definition["retention_days"])

    def accepted_until(self, day: date) -> date:
        """The last day on which reports of the epoch that `day` lies in are accepted: the end of the next epoch."""
        return self.epoch.end(self.epoch.next(day))

    def erased_on(self, epoch: str) -> date:
        """The day on which the counts of an epoch are deleted."""
        return self.accepted_until(self.epoch.first_day(epoch)) + timedelta(days=self.days + 1)
