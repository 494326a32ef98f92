"""What a client says of itself: how each survey stands, what waits, and what was lost and why; no value is in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Self

from hushtally.client_sdk.survey import Survey


@dataclass(frozen=True)
class SurveyStatus:
    """One survey on this device: its id, and the version that the app has.

    consent: whether the customer agrees. silent: why the device does not answer, None while it does. spent: the epsilon
    spent on it. With permanent memory that is all that was set aside, from the first answer on: what was spent so far
    would tell how often an answer changed. most: what `spent` may yet come to. withdrew: whether the customer withdrew,
    after agreeing or without. next: the next epoch in which the device answers, None if it answers no more.
    """

    survey: str
    version: int
    consent: bool
    silent: str | None
    spent: float
    most: float
    withdrew: bool = False
    next: str | None = None

    def __str__(self) -> str:
        consent = "agreed" if self.consent else "withdrew" if self.withdrew else "no consent"
        coming = f"next answer in {self.next}" if self.next else "no answer planned"
        spent = f"epsilon {self.spent:g} spent of at most {self.most:g}" if self.most else "nothing spent"
        answers = f"silent: {self.silent}" if self.silent else coming
        return f"{self.survey} v{self.version}: {consent}; {answers}; {spent}"


@dataclass(frozen=True)
class Status:
    """A client. silent: why it does nothing at all, None while it works. surveys: all of them, in the app's order.

    waiting: batches that are not delivered yet, most of them because their moment has not come. counters: reports and
    events, by fate, and epochs in which an answer was missed. delivery: why the last try to deliver failed; None if it
    went well, or if none was made since the app started. Where the state file cannot be read, all is told as if nothing
    were in it. Printed it is a few lines.
    """

    silent: str | None
    surveys: tuple[SurveyStatus, ...]
    waiting: int
    counters: Mapping[str, int]
    delivery: str | None = None

    def __str__(self) -> str:
        lines = [f"silent: {self.silent}"] if self.silent else []
        # why all of them are silent is said once
        lines += [str(replace(one, silent=None) if self.silent == one.silent else one) for one in self.surveys]
        lines.append(f"{self.waiting:,} waiting to be sent")
        lines += [f"{number:,} {fate}" for fate, number in self.counters.items()]
        lines += [f"not delivered: {self.delivery}"] if self.delivery else []
        return "\n".join(lines)

    def silenced(self, why: str) -> Self:
        """The same where nothing is done any more."""
        surveys = tuple(replace(one, silent=why, next=None) for one in self.surveys)
        return replace(self, silent=why, surveys=surveys)

    @classmethod
    def unread(cls, surveys: Iterable[Survey], silent: str) -> Self:
        """What is told of these surveys where the state file cannot be read, and why it cannot."""
        statuses = (SurveyStatus(survey.id, survey.version, False, silent, 0.0, 0.0) for survey in surveys)
        return cls(silent, tuple(statuses), 0, {})
