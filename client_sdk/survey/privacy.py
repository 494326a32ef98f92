"""The privacy settings of a survey, and the comparison of an epsilon with the app's ceiling."""

from __future__ import annotations

import math
from dataclasses import dataclass

FRESH, PERMANENT = "fresh", "permanent"
ROUNDING = 1e-9  # error of a sum of epsilons, at most: 0.1 + 0.1 + 0.1 is more than 0.3 as a float


@dataclass(frozen=True)
class Privacy:
    """What a device may spend: see the survey's `[privacy]` table."""

    epsilon: float
    questions_per_device: int
    answers_every: int
    memory: str
    epsilon_permanent: float | None
    changes: int | None


def within_ceiling(epsilon: float, ceiling: float | None) -> bool:
    """Whether an epsilon, possibly a sum, is at most the ceiling; None is no ceiling. Equality is allowed."""
    if ceiling is None or epsilon <= ceiling:
        return True
    return math.isclose(epsilon, ceiling, rel_tol=ROUNDING, abs_tol=ROUNDING)
