"""The errors of the aggregator: of a database, of an estimate, of an argument."""

from __future__ import annotations

from hushtally.client_sdk.errors import HushtallyError


class DatabaseError(HushtallyError):
    """The file is not a database that this aggregator can read, or the database lacks the survey that was requested."""


class EstimateError(HushtallyError):
    """The counts or the arguments do not allow the estimate."""


class NotEstimableError(EstimateError):
    """The reports are valid but do not determine the estimate: a reason not to publish it, not a failure."""


class ArgumentError(HushtallyError):
    """An argument is invalid.

    name: the name of the argument and of its option; problem: what was required and what was given.
    """

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name} {problem}")
        self.name, self.problem = name, problem
