"""The privacy settings of a survey."""

from __future__ import annotations

from dataclasses import dataclass

FRESH, PERMANENT = "fresh", "permanent"


@dataclass(frozen=True)
class Privacy:
    """The privacy budget of a device, as the `[privacy]` table of the survey states it.

    epsilon_permanent and changes are None unless memory is "permanent".
    """

    epsilon: float
    questions_per_device: int
    answers_every: int
    memory: str
    epsilon_permanent: float | None
    changes: int | None
