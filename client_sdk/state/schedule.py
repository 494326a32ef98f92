"""The table of schedules: which questions a device answers and when. Drawn once, independently of recorded data."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, replace
from datetime import date

from hushtally.client_sdk.randomness import Randomness
from hushtally.client_sdk.state import checksum, erasure, ledger
from hushtally.client_sdk.state.silence import Silence
from hushtally.client_sdk.survey import Survey

_ROLLED_BACK = "(silent IS NULL AND schedules.rollbacks < file.rollbacks)"  # drawn before the rollback was detected
_SELECT = (
    f"SELECT digest, survey, ends, questions, phase, reserved, handled, silent, {_ROLLED_BACK} FROM schedules, file"
)


@dataclass(frozen=True)
class Schedule:
    """The schedule of one device for one version of a survey.

    The device answers in every epoch whose number, divided by `answers_every`, leaves the remainder `phase`.

    survey: the id of the survey. ends: the last day of the survey, as an ordinal. drawn: the ids of the device's
    questions, as JSON. reserved: the epsilon that is reserved for the survey; 0 while that epsilon does not fit under
    the app's ceiling. handled: the first day, as an ordinal, of the latest epoch that a tick handled, with or without
    an answer. silent: why the device does not answer; None while it answers.
    """

    survey: str
    ends: int
    drawn: str
    phase: int
    reserved: float
    handled: int
    silent: str | None

    @property
    def questions(self) -> tuple[str, ...]:
        """The ids of the device's questions."""
        return tuple(json.loads(self.drawn))

    def answers_in(self, survey: Survey, day: date) -> bool:
        """Return whether the device answers in the epoch of this day."""
        steps = survey.epoch.steps(survey.starts, day)
        return survey.runs(day) and steps % survey.privacy.answers_every == self.phase

    def next_answer(self, survey: Survey, day: date) -> str | None:
        """Return the first epoch, from this day on, in which the device will answer; None if there is none."""
        if self.silent or not self.reserved:
            return None
        day = max(day, survey.starts)
        while survey.runs(day):
            if self.answers_in(survey, day) and survey.epoch.start(day).toordinal() > self.handled:
                return survey.epoch.label(day)
            day = survey.epoch.next(day)
        return None


def find_all(connection: sqlite3.Connection, device: int) -> dict[str, Schedule]:
    """Return the device's schedules by digest, including the schedules of surveys that this app does not have."""
    return {row[0]: _schedule(*row[1:]) for row in connection.execute(f"{_SELECT} WHERE device = ?", (device,))}


def _find(connection: sqlite3.Connection, device: int, survey: Survey) -> Schedule:
    row = connection.execute(f"{_SELECT} WHERE device = ? AND digest = ?", (device, survey.digest)).fetchone()
    return _schedule(*row[1:])


def _schedule(
    survey: str, ends: int, drawn: str, phase: int, reserved: float, handled: int, silent: str | None, rolled_back: int
) -> Schedule:
    return Schedule(survey, ends, drawn, phase, reserved, handled, Silence.ROLLED_BACK if rolled_back else silent)


def enroll(
    connection: sqlite3.Connection,
    device: int,
    survey: Survey,
    found: Schedule | None,
    ceiling: float | None,
    today: date,
    randomness: Randomness,
) -> Schedule:
    """Return the device's schedule. Draw it if there is none, and reserve its epsilon if that fits under the ceiling.

    found: the schedule that was read in this transaction, if there is one. A schedule is drawn only once. Drawing it
    silences all older versions of the survey. If the device is enrolled in a newer version, the schedule is silent from
    the start.
    """
    schedule = found or _draw(connection, device, survey, today, randomness)
    if schedule.reserved or schedule.silent or not ledger.fits(connection, device, ceiling, survey.lifetime_epsilon):
        return schedule
    connection.execute(
        "UPDATE schedules SET reserved = ? WHERE device = ? AND digest = ?",
        (survey.lifetime_epsilon, device, survey.digest),
    )
    return replace(schedule, reserved=survey.lifetime_epsilon)


def _draw(connection: sqlite3.Connection, device: int, survey: Survey, today: date, randomness: Randomness) -> Schedule:
    pool = [question.id for question in survey.asked]
    chosen = [pool.pop(randomness.below(len(pool))) for _ in range(survey.privacy.questions_per_device)]
    phase = randomness.below(survey.privacy.answers_every)
    (handled,) = connection.execute(
        "SELECT max(handled) FROM schedules WHERE device = ? AND survey = ?", (device, survey.id)
    ).fetchone()
    if handled:
        # this version skips the past epochs that an older version handled, but not the current epoch, in which the
        # older version may not have answered
        handled = survey.epoch.start(date.fromordinal(handled)).toordinal() - 1
    (newer,) = connection.execute(
        "SELECT count(*) FROM schedules WHERE device = ? AND survey = ? AND version > ?",
        (device, survey.id, survey.version),
    ).fetchone()
    if not newer:
        _silence(connection, Silence.SUPERSEDED, "device = ? AND survey = ?", device, survey.id)
    connection.execute(  # release the epsilon of a version that never answered
        "UPDATE schedules SET reserved = 0 WHERE device = ? AND survey = ? AND silent = ? AND NOT EXISTS"
        " (SELECT 1 FROM ledger WHERE ledger.device = schedules.device AND ledger.digest = schedules.digest)",
        (device, survey.id, Silence.SUPERSEDED),
    )
    rollbacks = _rollbacks_before(connection, survey, today)
    # after a rollback, the lost ledger may have contained the whole lifetime epsilon of the survey
    reserved = survey.lifetime_epsilon if rollbacks is None else 0.0
    connection.execute(
        "INSERT INTO schedules VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            device,
            survey.digest,
            survey.id,
            survey.permanent,
            survey.ends.toordinal(),
            json.dumps(chosen),
            phase,
            handled or 0,
            reserved,
            -1 if rollbacks is None else rollbacks,
            Silence.SUPERSEDED if newer and rollbacks is not None else None,
            survey.version,
        ),
    )
    return _find(connection, device, survey)


def mark_handled(connection: sqlite3.Connection, device: int, survey: Survey, epoch_start: date) -> None:
    """Store that the epoch was handled: the device no longer answers in this epoch or in an earlier one."""
    connection.execute(
        "UPDATE schedules SET handled = ? WHERE device = ? AND digest = ? AND handled < ?",
        (epoch_start.toordinal(), device, survey.digest, epoch_start.toordinal()),
    )


def close(connection: sqlite3.Connection, device: int, digest: str) -> None:
    """Silence a survey that has ended. Delete its permanent answers, and keep only the sum of its costs."""
    _silence(connection, Silence.ENDED, "device = ? AND digest = ?", device, digest)
    ledger.keep_sum(connection, device, digest)
    # a later version must not answer again in an epoch that this version answered
    connection.execute("UPDATE schedules SET handled = ends + 1 WHERE device = ? AND digest = ?", (device, digest))


def silence_permanent(connection: sqlite3.Connection, device: int) -> None:
    """Silence the surveys with permanent memory after a withdrawal, which deletes the permanent answers.

    Without them the device would have to draw new answers, and could draw more than `changes` allows.
    """
    permanent = "device = ? AND permanent"
    _silence(connection, Silence.ANSWERS_ERASED, permanent, device)
    rows = connection.execute(f"SELECT digest FROM schedules WHERE {permanent}", (device,)).fetchall()
    for (digest,) in rows:
        ledger.merge_costs(connection, device, digest)


def _rollbacks_before(connection: sqlite3.Connection, survey: Survey, today: date) -> int | None:
    """Return the number of rollbacks so far; None if another copy of the file may have answered the survey."""
    rollbacks, day = connection.execute("SELECT rollbacks, rollback_day FROM file").fetchone()
    if rollbacks and day is None:
        day = today.toordinal()
        connection.execute("UPDATE file SET rollback_day = ?", (day,))
        checksum.update_file(connection)
    return None if rollbacks and survey.starts.toordinal() <= day else rollbacks


def _silence(connection: sqlite3.Connection, reason: Silence, which: str, *values: object) -> None:
    """Silence the schedules that are not silent yet. Delete their permanent answers, which are no longer needed."""
    found = connection.execute(
        f"SELECT device, digest FROM schedules, file WHERE silent IS NULL AND NOT {_ROLLED_BACK} AND {which}", values
    ).fetchall()
    if connection.executemany("DELETE FROM answers WHERE device = ? AND digest = ?", found).rowcount > 0:
        erasure.request(connection)
    connection.executemany(
        "UPDATE schedules SET silent = ? WHERE device = ? AND digest = ?", [(reason, *row) for row in found]
    )
