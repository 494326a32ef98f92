"""What can go wrong in a simulation."""

from __future__ import annotations

from client_sdk.errors import HushtallyError


class SimulationError(HushtallyError):
    """A simulation was asked for what the survey, the population or the arguments do not allow."""


class ArgumentError(SimulationError):
    """An argument is not as it must be. name: the argument's, and its option's; words: what was required and came."""

    def __init__(self, name: str, words: str) -> None:
        super().__init__(f"{name} {words}")
        self.name, self.words = name, words
