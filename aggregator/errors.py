"""The errors of the aggregator: of a database, of an estimate, of an argument."""

from __future__ import annotations

from hushtally.client_sdk.errors import HushtallyError


class DatabaseError(HushtallyError):
    """The aggregator cannot read the file as a database, or the database does not contain the requested survey."""


class EstimateError(HushtallyError):
    """The counts or the arguments do not allow the estimate."""


class NotEstimableError(EstimateError):
    """The reports are valid, but they do not determine the estimate. This is a reason not to publish, not a failure."""


class ArgumentError(HushtallyError):
    """An argument is invalid.

    name: the name of the argument and of its option; problem: what was required and what was given.
    """

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name} {problem}")
        self.name, self.problem = name, problem
