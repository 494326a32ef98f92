"""What can go wrong between the store and a summary, and with an argument."""

from __future__ import annotations

from hushtally.client_sdk.errors import HushtallyError


class DatabaseError(HushtallyError):
    """The file is not a database that this aggregator can read, or does not hold what was asked for."""


class EstimateError(HushtallyError):
    """An estimate was asked for that the counts or the arguments do not allow."""


class NotEstimableError(EstimateError):
    """These reports, sound as they are, cannot tell what was asked: a reason not to publish, and no failure."""


class ArgumentError(HushtallyError):
    """An argument is not as it must be. name: the argument's, and its option's; words: what was required and came."""

    def __init__(self, name: str, words: str) -> None:
        super().__init__(f"{name} {words}")
        self.name, self.words = name, words
