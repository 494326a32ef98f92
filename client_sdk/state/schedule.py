"""When a device answers, and what: drawn once, whatever its data, and kept."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, replace
from datetime import date

from hushtally.client_sdk.randomness import Randomness
from hushtally.client_sdk.state import checksum, erasure, ledger
from hushtally.client_sdk.state.silence import Silence
from hushtally.client_sdk.survey import Survey

_DOUBTFUL = "(silent IS NULL AND schedules.doubts < file.doubts)"  # from before the file was found to be another
_SELECT = f"SELECT digest, survey, ends, questions, phase, reserved, seen, silent, {_DOUBTFUL} FROM schedules, file"


@dataclass(frozen=True)
class Schedule:
    """The device's questions, and the epochs in which it answers them: those whose number leaves `phase`.

    survey: its id. ends: its last day, as an ordinal. drawn: the ids of the device's questions, as JSON. reserved: the
    epsilon set aside for the survey, 0 while the app's ceiling has no room for it. seen: the first day (as an ordinal)
    of the latest epoch whose turn is over, answered or not. silent: why it answers no more, if so.
    """

    survey: str
    ends: int
    drawn: str
    phase: int
    reserved: float
    seen: int
    silent: str | None

    @property
    def questions(self) -> tuple[str, ...]:
        """The ids of the device's questions."""
        return tuple(json.loads(self.drawn))

    def answers_in(self, survey: Survey, day: date) -> bool:
        """Whether the epoch of `day` is one in which this device answers."""
        steps = survey.epoch.steps(survey.starts, day)
        return survey.runs(day) and steps % survey.privacy.answers_every == self.phase

    def next_answer(self, survey: Survey, day: date) -> str | None:
        """The first epoch from `day` on in which the device has an answer to give; None if there is none any more."""
        if self.silent or not self.reserved:
            return None
        day = max(day, survey.starts)
        while survey.runs(day):
            if self.answers_in(survey, day) and survey.epoch.start(day).toordinal() > self.seen:
                return survey.epoch.label(day)
            day = survey.epoch.next(day)
        return None


def find_all(connection: sqlite3.Connection, device: int) -> dict[str, Schedule]:
    """Return the device's schedules by digest, also those of surveys that this app does not have."""
    return {row[0]: _schedule(*row[1:]) for row in connection.execute(f"{_SELECT} WHERE device = ?", (device,))}


def _find(connection: sqlite3.Connection, device: int, survey: Survey) -> Schedule:
    row = connection.execute(f"{_SELECT} WHERE device = ? AND digest = ?", (device, survey.digest)).fetchone()
    return _schedule(*row[1:])


def _schedule(
    survey: str, ends: int, drawn: str, phase: int, reserved: float, seen: int, silent: str | None, doubtful: int
) -> Schedule:
    return Schedule(survey, ends, drawn, phase, reserved, seen, Silence.ROLLED_BACK if doubtful else silent)


def take_up(
    connection: sqlite3.Connection,
    device: int,
    survey: Survey,
    plan: Schedule | None,
    ceiling: float | None,
    today: date,
    randomness: Randomness,
) -> Schedule:
    """Return the device's schedule; draw it if there is none, and reserve its epsilon if that fits.

    plan: the schedule that was found within this transaction. A schedule is drawn once and never again. An older
    version of the survey falls silent with it; an older version than one that was taken up is silent from the start.
    """
    if plan is None:
        plan = _draw(connection, device, survey, today, randomness)
    if plan.reserved or plan.silent or not ledger.fits(connection, device, ceiling, survey.lifetime_epsilon):
        return plan
    connection.execute(
        "UPDATE schedules SET reserved = ? WHERE device = ? AND digest = ?",
        (survey.lifetime_epsilon, device, survey.digest),
    )
    return replace(plan, reserved=survey.lifetime_epsilon)


def _draw(connection: sqlite3.Connection, device: int, survey: Survey, today: date, randomness: Randomness) -> Schedule:
    pool = [question.id for question in survey.asked]
    chosen = [pool.pop(randomness.below(len(pool))) for _ in range(survey.privacy.questions_per_device)]
    phase = randomness.below(survey.privacy.answers_every)
    (seen,) = connection.execute(
        "SELECT max(seen) FROM schedules WHERE device = ? AND survey = ?", (device, survey.id)
    ).fetchone()
    if seen:
        # what is past for an older version is past for this one; the present epoch the older one may have left out
        seen = survey.epoch.start(date.fromordinal(seen)).toordinal() - 1
    (newer,) = connection.execute(
        "SELECT count(*) FROM schedules WHERE device = ? AND survey = ? AND version > ?",
        (device, survey.id, survey.version),
    ).fetchone()
    if not newer:
        _silence(connection, Silence.SUPERSEDED, "device = ? AND survey = ?", device, survey.id)
    connection.execute(  # what was set aside for a version that never answered is free again
        "UPDATE schedules SET reserved = 0 WHERE device = ? AND survey = ? AND silent = ? AND NOT EXISTS"
        " (SELECT 1 FROM ledger WHERE ledger.device = schedules.device AND ledger.digest = schedules.digest)",
        (device, survey.id, Silence.SUPERSEDED),
    )
    doubts = _doubts(connection, survey, today)
    # where it may have been answered from another state of this file, all that it may cost may have been spent
    reserved = survey.lifetime_epsilon if doubts is None else 0.0
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
            seen or 0,
            reserved,
            -1 if doubts is None else doubts,
            Silence.SUPERSEDED if newer and doubts is not None else None,
            survey.version,
        ),
    )
    return _find(connection, device, survey)


def see(connection: sqlite3.Connection, device: int, survey: Survey, epoch_start: date) -> None:
    """Notes that the turn of an epoch is over."""
    connection.execute(
        "UPDATE schedules SET seen = ? WHERE device = ? AND digest = ? AND seen < ?",
        (epoch_start.toordinal(), device, survey.digest, epoch_start.toordinal()),
    )


def close(connection: sqlite3.Connection, device: int, digest: str) -> None:
    """Forgets a survey that is over: its permanent answers, and of what it cost all but the sum."""
    _silence(connection, Silence.ENDED, "device = ? AND digest = ?", device, digest)
    ledger.sum_up(connection, device, digest)
    # a later version must not answer again in an epoch that this one has answered
    connection.execute("UPDATE schedules SET seen = ends + 1 WHERE device = ? AND digest = ?", (device, digest))


def forget(connection: sqlite3.Connection, device: int) -> None:
    """Ends the device's part in surveys with permanent memory: without its answers it could only draw them anew."""
    permanent = "device = ? AND permanent"
    _silence(connection, Silence.ANSWERS_ERASED, permanent, device)
    rows = connection.execute(f"SELECT digest FROM schedules WHERE {permanent}", (device,)).fetchall()
    for (digest,) in rows:
        ledger.flatten(connection, device, digest)


def _doubts(connection: sqlite3.Connection, survey: Survey, today: date) -> int | None:
    """How often the file was in doubt; None if the survey may have been answered from another state of it."""
    doubts, doubted = connection.execute("SELECT doubts, doubted FROM file").fetchone()
    if doubts and doubted is None:
        doubted = today.toordinal()
        connection.execute("UPDATE file SET doubted = ?", (doubted,))
        connection.execute("UPDATE file SET seal = ?", (checksum.file(connection),))
    return None if doubts and survey.starts.toordinal() <= doubted else doubts


def _silence(connection: sqlite3.Connection, reason: Silence, which: str, *values: object) -> None:
    """Silences those that are not yet; the answers that were kept for them are of no more use."""
    found = connection.execute(
        f"SELECT device, digest FROM schedules, file WHERE silent IS NULL AND NOT {_DOUBTFUL} AND {which}", values
    ).fetchall()
    if connection.executemany("DELETE FROM answers WHERE device = ? AND digest = ?", found).rowcount > 0:
        erasure.due(connection)
    connection.executemany(
        "UPDATE schedules SET silent = ? WHERE device = ? AND digest = ?", [(reason, *one) for one in found]
    )
