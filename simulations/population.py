"""Populations: which share of the customers is in every segment, from a shape, a file of shares or a log of events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from aggregator.intervals import Floats
from client_sdk.fields import did_you_mean
from client_sdk.questions import Question
from simulations.errors import SimulationError

SHAPES = {"uniform": None, "zipf": 1.0, "geometric": 0.5}  # with the parameter that is taken when none is given


@dataclass(frozen=True)
class Shape:
    """A named shape of shares: the first segment the largest, unless it is uniform.

    zipf:s has shares proportional to 1 / rank^s, geometric:r to r^rank.
    """

    name: str
    parameter: float | None

    @classmethod
    def parse(cls, text: str) -> Shape:
        """The shape that words like "zipf:1.1" name; SimulationError for others."""
        name, colon, rest = text.partition(":")
        if name not in SHAPES:
            raise SimulationError(
                f"shape must be uniform, zipf:S or geometric:R, got {text!r}{did_you_mean(name, SHAPES)}"
            )
        try:
            parameter = float(rest) if colon else SHAPES[name]
        except ValueError:
            raise SimulationError(f"the parameter of {name} must be a number, got {rest!r}") from None
        if name == "zipf" and not 0 <= (parameter or 0) <= 10:
            raise SimulationError(f"zipf needs a parameter from 0 to 10, got {rest}")
        if name == "geometric" and not 0 < (parameter or 0) <= 1:
            raise SimulationError(f"geometric needs a parameter above 0 and at most 1, got {rest}")
        if name == "uniform" and colon:
            raise SimulationError("uniform takes no parameter")
        return cls(name, parameter)

    def shares(self, segments: int) -> Floats:
        """The shares of so many segments; float array that sums to one."""
        ranks = np.arange(segments, dtype=np.float64)
        if self.name == "zipf":
            weights = (ranks + 1) ** -(self.parameter or 0.0)
        elif self.name == "geometric":
            weights = (self.parameter or 1.0) ** ranks
        else:
            weights = np.ones(segments)
        return np.asarray(weights / weights.sum())

    def __str__(self) -> str:
        return self.name if self.parameter is None else f"{self.name}:{self.parameter:g}"


@dataclass(frozen=True)
class Population:
    """The shares of all questions: those that are known by question id, the shape for every other question."""

    shape: Shape
    known: Mapping[str, Floats]

    def shares(self, question: Question) -> Floats:
        """The share of every segment of a question, in the domain's order."""
        found = self.known.get(question.id)
        return self.shape.shares(len(question.segments)) if found is None else found
