"""The privacy settings of a survey."""

from __future__ import annotations

from dataclasses import dataclass

FRESH, PERMANENT = "fresh", "permanent"


@dataclass(frozen=True)
class Privacy:
    """What a device may spend: see the survey's `[privacy]` table."""

    epsilon: float
    questions_per_device: int
    answers_every: int
    memory: str
    epsilon_permanent: float | None
    changes: int | None
