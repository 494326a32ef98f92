"""All errors that hushtally raises. The class says who made the mistake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class HushtallyError(Exception):
    """The base class of all errors of this package. The message is one clear line."""


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake in a survey.

    Attributes:
        place: Where the mistake is, such as `questions[2].epsilon`; empty for the survey as a whole.
        message: What was required, and what was given.
    """

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class SurveyError(HushtallyError):
    """The survey is wrong.

    Attributes:
        problems: Every mistake, with its place. The message of the error also names the file, if there is one.
    """

    def __init__(self, problems: Sequence[Problem] | str, file: str = "") -> None:
        self.problems = (Problem("", problems),) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(str(Problem(file, str(problem))) for problem in self.problems))


class MechanismError(HushtallyError):
    """A mechanism does not support the domain, the epsilon or a parameter that it was given."""


class RuleError(HushtallyError):
    """A rule is not an expression that is allowed over signals."""


class BatchError(HushtallyError):
    """Bytes from the network are not a batch of reports."""


class ClientError(HushtallyError):
    """The app created or called a client in a way that cannot work."""


class SafeMessage:
    """Marks errors whose message is our own and quotes nothing, so that it may be logged."""


class StateError(SafeMessage, HushtallyError):
    """The state file cannot be used. The client stays silent, and its status gives the reason."""


class StateLostError(StateError):
    """The state file was deleted or replaced while it was open."""


class StateForkedError(StateLostError):
    """The parent was using the state file while it forked this process, which can therefore not use the file."""
