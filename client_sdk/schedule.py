"""When a device answers, and what: drawn once, whatever its data, and kept."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from datetime import date

from client_sdk import ledger
from client_sdk.randomness import Randomness
from client_sdk.survey import Survey

ENDED = "the survey is over"
SUPERSEDED = "a newer version took its place"
FORGOTTEN = "consent was withdrawn and the permanent answers erased"


@dataclass(frozen=True)
class Schedule:
    """The device's questions, and the epochs in which it answers them: those whose number leaves `phase`.

    reserved: the epsilon set aside for the survey, 0 while the app's ceiling has no room for it. seen: the first day
    (as an ordinal) of the latest epoch that the device's clock has shown. silent: why it answers no more, if so.
    """

    questions: tuple[str, ...]
    phase: int
    reserved: float
    seen: int
    silent: str | None

    def answers_in(self, survey: Survey, day: date) -> bool:
        """Whether the epoch of `day` is one in which this device answers."""
        steps = survey.epoch.steps(survey.starts, day)
        return survey.runs(day) and steps % survey.privacy.answers_every == self.phase


def find(connection: sqlite3.Connection, device: int, survey: Survey) -> Schedule | None:
    """The device's schedule for the survey, once it is drawn."""
    row = connection.execute(
        "SELECT questions, phase, reserved, seen, silent FROM schedules WHERE device = ? AND digest = ?",
        (device, survey.digest),
    ).fetchone()
    return None if row is None else Schedule(tuple(json.loads(row[0])), *row[1:])


def take_up(
    connection: sqlite3.Connection, device: int, survey: Survey, ceiling: float | None, randomness: Randomness
) -> Schedule:
    """The device's schedule, drawn if there is none yet and never again, with epsilon set aside if there is room.

    An older version of the survey goes silent with it.
    """
    schedule = find(connection, device, survey)
    if schedule is None:
        pool = [question.id for question in survey.asked]
        chosen = [pool.pop(randomness.below(len(pool))) for _ in range(survey.privacy.questions_per_device)]
        phase = randomness.below(survey.privacy.answers_every)
        connection.execute(
            "UPDATE schedules SET silent = ? WHERE device = ? AND survey = ? AND silent IS NULL",
            (SUPERSEDED, device, survey.id),
        )
        connection.execute(
            "INSERT INTO schedules VALUES (?, ?, ?, ?, ?, ?, ?, 0.0, 0, NULL)",
            (device, survey.digest, survey.id, survey.version, survey.permanent, json.dumps(chosen), phase),
        )
        schedule = Schedule(tuple(chosen), phase, 0.0, 0, None)
    if schedule.reserved or schedule.silent:
        return schedule
    room = (
        ceiling is None or ledger.committed(connection, device) + survey.lifetime_epsilon <= ceiling + ledger.ROUNDING
    )
    if room:
        connection.execute(
            "UPDATE schedules SET reserved = ? WHERE device = ? AND digest = ?",
            (survey.lifetime_epsilon, device, survey.digest),
        )
    return find(connection, device, survey) or schedule


def see(connection: sqlite3.Connection, device: int, survey: Survey, epoch_start: date) -> None:
    """Notes the latest epoch that the clock has shown."""
    connection.execute(
        "UPDATE schedules SET seen = ? WHERE device = ? AND digest = ? AND seen < ?",
        (epoch_start.toordinal(), device, survey.digest, epoch_start.toordinal()),
    )


def silence(connection: sqlite3.Connection, device: int, survey: Survey, reason: str) -> None:
    """Ends the device's part in this survey for good."""
    connection.execute(
        "UPDATE schedules SET silent = ? WHERE device = ? AND digest = ?",
        (reason, device, survey.digest),
    )


def silence_all(connection: sqlite3.Connection, reason: str) -> None:
    """Ends every part of every device of this file for good."""
    connection.execute("UPDATE schedules SET silent = ? WHERE silent IS NULL", (reason,))
