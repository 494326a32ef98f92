"""Every error hushtally raises, by who erred."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class HushtallyError(Exception):
    """Base of all errors of this package; its text is one clear line."""


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake in a survey: where it is and what was required."""

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class SurveyError(HushtallyError):
    """The survey is wrong; `problems` names every mistake, each with its place, and the text also the file, if any."""

    def __init__(self, problems: Sequence[Problem] | str, file: str = "") -> None:
        self.problems = (Problem("", problems),) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(str(Problem(file, str(problem))) for problem in self.problems))


class MechanismError(HushtallyError):
    """A mechanism was asked for a domain, epsilon or parameter that it does not have."""


class RuleError(HushtallyError):
    """An expression over signals is outside the language of rules."""


class BatchError(HushtallyError):
    """What came over the wire is not a batch of reports."""


class ClientError(HushtallyError):
    """The app constructed or called the client in a way it cannot work."""


class SafeMessage:
    """An error whose text is ours, and quotes nothing: it may be logged."""


class StateError(SafeMessage, HushtallyError):
    """The device's state file cannot be used; the client stays silent and says so in its status."""


class StateLostError(StateError):
    """The state file was deleted or replaced while it was open."""
