"""What can go wrong between the store and a summary."""

from __future__ import annotations

from client_sdk.errors import HushtallyError


class DatabaseError(HushtallyError):
    """The file is not a database that this aggregator can read, or does not hold what was asked for."""


class EstimateError(HushtallyError):
    """An estimate was asked for that the counts or the arguments do not allow."""


class NotEstimableError(EstimateError):
    """These reports, sound as they are, cannot tell what was asked: a reason not to publish, and no failure."""


class SelectionError(HushtallyError):
    """A question, epoch or cohort was asked for that the survey or its counts do not have."""

    def __init__(self, what: str, message: str) -> None:
        self.what = what
        super().__init__(message)
