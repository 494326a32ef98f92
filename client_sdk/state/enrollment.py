"""Enrollment: draws the schedules of a device, and ends them. Decides on the records of one device, without SQL."""

from __future__ import annotations

import json
from datetime import date

from hushtally.client_sdk.randomness import Randomness
from hushtally.client_sdk.state import ledger
from hushtally.client_sdk.state.records import Records
from hushtally.client_sdk.state.schedule import Schedule
from hushtally.client_sdk.state.silence import Silence
from hushtally.client_sdk.survey import Survey


def enroll(records: Records, survey: Survey, ceiling: float | None, today: date, randomness: Randomness) -> Schedule:
    """Return the device's schedule. Draw it if there is none, and reserve its epsilon if that fits under the ceiling.

    A schedule is drawn only once. Drawing it silences all older versions of the survey. If the device is enrolled in a
    newer version, the schedule is silent from the start.
    """
    schedule = records.schedules.get(survey.digest) or _draw(records, survey, today, randomness)
    if not schedule.reserved and not schedule.silent and ledger.fits(records, ceiling, survey.lifetime_epsilon):
        schedule = schedule._replace(reserved=float(survey.lifetime_epsilon))
    records.schedules[survey.digest] = schedule
    return schedule


def _draw(records: Records, survey: Survey, today: date, randomness: Randomness) -> Schedule:
    pool = [question.id for question in survey.asked]
    chosen = [pool.pop(randomness.below(len(pool))) for _ in range(survey.privacy.questions_per_device)]
    phase = randomness.below(survey.privacy.answers_every)
    others = [one for one in records.schedules.values() if one.survey == survey.id]
    handled = max((one.handled for one in others), default=0)
    if handled:
        # this version skips the past epochs that an older version handled, but not the current epoch, in which the
        # older version may not have answered
        handled = survey.epoch.start(date.fromordinal(handled)).toordinal() - 1
    newer = any(one.version > survey.version for one in others)
    if not newer:
        _silence(records, Silence.SUPERSEDED, [one.digest for one in others])
    charged = {digest for digest, _ in records.ledger.values()}
    for digest, one in records.schedules.items():  # release the epsilon of a version that never answered
        if one.survey == survey.id and one.stated == Silence.SUPERSEDED and digest not in charged:
            records.schedules[digest] = one._replace(reserved=0.0)
    rolled_back = _may_be_answered_elsewhere(records, survey, today)
    return Schedule(
        device=records.device,
        digest=survey.digest,
        survey=survey.id,
        permanent=int(survey.permanent),
        ends=survey.ends.toordinal(),
        drawn=json.dumps(chosen),
        phase=phase,
        handled=handled,
        # after a rollback, the lost ledger may have contained the whole lifetime epsilon of the survey
        reserved=float(survey.lifetime_epsilon) if rolled_back else 0.0,
        rollbacks=-1 if rolled_back else records.rollbacks.number,
        stated=Silence.SUPERSEDED.value if newer and not rolled_back else None,
        version=survey.version,
        rolled_back=rolled_back,
    )


def mark_handled(records: Records, survey: Survey, epoch_start: date) -> None:
    """Store that the epoch was handled: the device no longer answers in this epoch or in an earlier one."""
    schedule = records.schedules[survey.digest]
    if schedule.handled < epoch_start.toordinal():
        records.schedules[survey.digest] = schedule._replace(handled=epoch_start.toordinal())


def close(records: Records, digest: str) -> None:
    """Silence a survey that has ended. Delete its permanent answers, and keep only the sum of its costs."""
    _silence(records, Silence.ENDED, [digest])
    ledger.keep_sum(records, digest)
    # a later version must not answer again in an epoch that this version answered
    schedule = records.schedules[digest]
    records.schedules[digest] = schedule._replace(handled=schedule.ends + 1)


def silence_permanent(records: Records) -> None:
    """Silence the surveys with permanent memory after a withdrawal, which deletes the permanent answers.

    Without them the device would have to draw new answers, and could draw more than `changes` allows.
    """
    permanent = [digest for digest, one in records.schedules.items() if one.permanent]
    _silence(records, Silence.ANSWERS_ERASED, permanent)
    for digest in permanent:
        ledger.merge_costs(records, digest)


def _may_be_answered_elsewhere(records: Records, survey: Survey, today: date) -> bool:
    """Return whether another copy of the file may have answered the survey."""
    rollbacks = records.rollbacks
    if rollbacks.number and rollbacks.day is None:
        rollbacks.day = today.toordinal()
    return rollbacks.day is not None and bool(rollbacks.number) and survey.starts.toordinal() <= rollbacks.day


def _silence(records: Records, reason: Silence, digests: list[str]) -> None:
    """Silence the schedules that are not silent yet. Delete their permanent answers, which are no longer needed."""
    silenced = {digest for digest in digests if records.schedules[digest].silent is None}
    for digest in silenced:
        records.schedules[digest] = records.schedules[digest]._replace(stated=reason.value)
    for key in [key for key in records.answers if key[0] in silenced]:
        del records.answers[key]
