"""The status of a client: how each survey stands, what waits, and what was lost and why. It contains no answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Self

from hushtally.client_sdk.survey import Survey


@dataclass(frozen=True)
class SurveyStatus:
    """How one survey stands on this device: its id, and the version that the app has.

    consent: whether the customer agrees. silent: the reason why the device does not answer, None while it does.
    spent: the epsilon spent on the survey; with permanent memory the whole budget from the first answer on, because the
    exact figure would show how often an answer changed. budget: the most that `spent` can become. withdrew: whether the
    customer withdrew, also without agreeing before. next: the next epoch in which the device answers, None if there is
    none.
    """

    survey: str
    version: int
    consent: bool
    silent: str | None
    spent: float
    budget: float
    withdrew: bool = False
    next: str | None = None

    def __str__(self) -> str:
        consent = "agreed" if self.consent else "withdrew" if self.withdrew else "no consent"
        coming = f"next answer in {self.next}" if self.next else "no answer planned"
        spent = f"epsilon {self.spent:g} spent of at most {self.budget:g}" if self.budget else "nothing spent"
        answers = f"silent: {self.silent}" if self.silent else coming
        return f"{self.survey} v{self.version}: {consent}; {answers}; {spent}"


@dataclass(frozen=True)
class Status:
    """How a client stands. `print(client.status())` prints a few lines.

    silent: the reason why the client does nothing at all, None while it works. surveys: all surveys, in the order that
    the app gave. waiting: batches that are not delivered yet; most of them wait for their random moment. counters:
    reports and events by what became of them, and epochs in which an answer was missed. delivery: why the last delivery
    failed, None if it succeeded or if none was tried since the app started. If the state file cannot be read, the
    status is that of an empty file.
    """

    silent: str | None
    surveys: tuple[SurveyStatus, ...]
    waiting: int
    counters: Mapping[str, int]
    delivery: str | None = None

    def __str__(self) -> str:
        lines = [f"silent: {self.silent}"] if self.silent else []
        # a reason that holds for the whole client is printed once
        lines += [str(replace(one, silent=None) if self.silent == one.silent else one) for one in self.surveys]
        lines.append(f"{self.waiting:,} waiting to be sent")
        lines += [f"{number:,} {fate}" for fate, number in self.counters.items()]
        lines += [f"not delivered: {self.delivery}"] if self.delivery else []
        return "\n".join(lines)

    def silenced(self, reason: str) -> Self:
        """A copy of this status in which everything is silent for `reason`."""
        surveys = tuple(replace(one, silent=reason, next=None) for one in self.surveys)
        return replace(self, silent=reason, surveys=surveys)

    @classmethod
    def unreadable(cls, surveys: Iterable[Survey], reason: str) -> Self:
        """The status of these surveys if the state file cannot be read, for `reason`."""
        statuses = (SurveyStatus(survey.id, survey.version, False, reason, 0.0, 0.0) for survey in surveys)
        return cls(reason, tuple(statuses), 0, {})
