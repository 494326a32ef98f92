"""The status of one survey on one device."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from hushtally.client_sdk.explain.status import SurveyStatus
from hushtally.client_sdk.state import ledger
from hushtally.client_sdk.state.facts import Facts
from hushtally.client_sdk.state.permission import Permission
from hushtally.client_sdk.state.records import Records
from hushtally.client_sdk.state.silence import Silence
from hushtally.client_sdk.survey import Survey


def survey_statuses(
    records: Records, surveys: Iterable[Survey], permission: Permission, ceiling: float | None, today: date
) -> tuple[SurveyStatus, ...]:
    """Return the status of each survey. ceiling: the most epsilon that the app allows; None for no limit."""
    if not records.intact:
        return tuple(_unknown(survey) for survey in surveys)
    over_ceiling = not ledger.fits(records, ceiling)
    return tuple(
        _survey_status(survey, records, permission, ledger.spent(records, survey), over_ceiling, today)
        for survey in surveys
    )


def _unknown(survey: Survey) -> SurveyStatus:
    """The status on a damaged device, whose records mean nothing."""
    return SurveyStatus(survey.id, survey.version, False, str(Silence.DAMAGED), 0.0, 0.0)


def _survey_status(
    survey: Survey, facts: Facts, permission: Permission, spent: tuple[float, float], over_ceiling: bool, today: date
) -> SurveyStatus:
    """Return the status of a survey.

    spent: the epsilon spent on this version of the survey, and on all other versions. over_ceiling: whether the device
    has committed more than the app's ceiling.
    """
    schedule = facts.schedules.get(survey.digest)
    agreed = permission.covers(facts, survey)
    withdrew = facts.device in permission.withdrawing or facts.withdrew(survey)
    silent = _silence(survey, facts, agreed, withdrew, over_ceiling, today)
    if silent is None and permission.cohort(facts, survey) is None:
        silent = Silence.NO_COHORT
    here, before = spent
    most = here
    if schedule is None and agreed and silent is None:  # consent outlived a version; the next tick draws the schedule
        most = survey.lifetime_epsilon
    elif schedule and schedule.silent in (None, Silence.ROLLED_BACK):
        # after a rollback the ledger may be incomplete, but no more than the reserved epsilon was spent
        most = schedule.reserved
    coming = schedule.next_answer(survey, today) if schedule and silent is None else None
    reason = None if silent is None else str(silent)  # a plain string for the app
    return SurveyStatus(survey.id, survey.version, agreed, reason, before + here, before + most, withdrew, coming)


def _silence(survey: Survey, facts: Facts, agreed: bool, withdrew: bool, over_ceiling: bool, today: date) -> str | None:
    schedule = facts.schedules.get(survey.digest)
    if schedule is not None and schedule.silent:
        ended_early = schedule.silent == Silence.ENDED and today <= survey.ends
        return Silence.CLOCK_AHEAD if ended_early else schedule.silent
    if withdrew:
        return Silence.WITHDRAWN
    if not agreed:
        return Silence.NO_CONSENT
    if today > survey.ends:
        return Silence.ENDED
    if schedule is not None and survey.epoch.start(today).toordinal() < schedule.handled:
        return Silence.CLOCK_BACK
    if over_ceiling or (schedule is not None and not schedule.reserved):
        return Silence.OVER_CEILING
    return None
