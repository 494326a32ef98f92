"""When a device answers, and what: drawn once, whatever its data, and kept."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from datetime import date

from client_sdk.randomness import Randomness
from client_sdk.survey import Survey


@dataclass(frozen=True)
class Schedule:
    """The device's questions, and the epochs in which it answers them: those whose number leaves `phase`."""

    questions: tuple[str, ...]
    phase: int

    def answers_in(self, survey: Survey, day: date) -> bool:
        """Whether the epoch of `day` is one in which this device answers."""
        steps = survey.epoch.steps(survey.starts, day)
        return survey.runs(day) and steps % survey.privacy.answers_every == self.phase


def draw(survey: Survey, randomness: Randomness) -> Schedule:
    """A new schedule: questions without replacement and a phase, all uniform."""
    pool = [question.id for question in survey.asked]
    chosen = [pool.pop(randomness.below(len(pool))) for _ in range(survey.privacy.questions_per_device)]
    return Schedule(tuple(chosen), randomness.below(survey.privacy.answers_every))


def keep(connection: sqlite3.Connection, device: int, survey: Survey, randomness: Randomness) -> None:
    """Draws the device's schedule for the survey if it has none yet; a schedule is never drawn again."""
    if find(connection, device, survey) is None:
        schedule = draw(survey, randomness)
        connection.execute(
            "INSERT INTO schedules VALUES (?, ?, ?, ?)",
            (device, survey.digest, schedule.phase, json.dumps(schedule.questions)),
        )


def find(connection: sqlite3.Connection, device: int, survey: Survey) -> Schedule | None:
    """The device's schedule for the survey, once it is drawn."""
    row = connection.execute(
        "SELECT questions, phase FROM schedules WHERE device = ? AND digest = ?", (device, survey.digest)
    ).fetchone()
    return None if row is None else Schedule(tuple(json.loads(row[0])), row[1])
