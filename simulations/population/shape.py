"""Shapes: assumed distributions of customers over the segments of a question."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hushtally.aggregator.intervals import Floats
from hushtally.simulations.errors import SimulationError

SHAPES = {"uniform": None, "zipf": 1.0, "geometric": 0.5}  # name -> default parameter
SHAPE_NAMES = "uniform, zipf:S, geometric:R"
DEFAULT_SHAPE = "zipf:1"  # a few large segments and many small ones, as is common for behaviour
MAX_ZIPF = 10


@dataclass(frozen=True)
class Shape:
    """A named distribution over segments. Except for uniform, the first segment is the largest.

    The shares of zipf:s are proportional to 1 / rank^s. The shares of geometric:r are proportional to r^rank.
    """

    name: str
    parameter: float | None

    @classmethod
    def parse(cls, text: str) -> Shape:
        """Read a shape from a string like "zipf:1.1". Raises SimulationError if it is not a shape."""
        name, colon, rest = text.partition(":")
        if name not in SHAPES:
            raise SimulationError(f"{text!r} is not a shape ({SHAPE_NAMES})")
        try:
            parameter = float(rest) if colon else SHAPES[name]
        except ValueError:
            raise SimulationError(f"the parameter of {name} must be a number, got {rest!r}") from None
        if name == "zipf" and not 0 <= (parameter or 0) <= MAX_ZIPF:
            raise SimulationError(f"the parameter of zipf must be from 0 to {MAX_ZIPF}, got {rest}")
        if name == "geometric" and not 0 < (parameter or 0) <= 1:
            raise SimulationError(f"the parameter of geometric must be above 0 and at most 1, got {rest}")
        if name == "uniform" and colon:
            raise SimulationError(f"uniform takes no parameter, got {rest!r}")
        return cls(name, parameter)

    def shares(self, segments: int) -> Floats:
        """Return the share of each segment: a float array of shape (segments,) that sums to 1."""
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
