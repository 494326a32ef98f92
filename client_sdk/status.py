"""What a client says of itself: how each survey stands, what waits, and what was lost and why; no value is in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class SurveyStatus:
    """One survey on this device.

    consent: whether the customer agrees. silent: why the device does not answer, None while it does. spent: the epsilon
    spent on it, with permanent memory all that was set aside for it once it has answered, as what was spent would tell
    how often an answer changed; most: what that may yet come to. withdrew: whether the customer agreed no longer, or
    never would. next: the next epoch in which the device answers, None if it answers no more.
    """

    survey: str
    consent: bool
    silent: str | None
    spent: float
    most: float
    withdrew: bool = False
    next: str | None = None


@dataclass(frozen=True)
class Status:
    """A client. silent: why it does nothing at all, None while it works. counters: reports and events, by fate."""

    silent: str | None
    surveys: tuple[SurveyStatus, ...]
    waiting: int
    counters: Mapping[str, int]
