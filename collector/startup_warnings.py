"""Startup warnings: surveys that have ended, and running surveys that are not served."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from hushtally.client_sdk.errors import SurveyError
from hushtally.client_sdk.survey import Survey


def require_distinct(surveys: Collection[Survey]) -> None:
    """Raise SurveyError if a survey is given twice."""
    seen = set()
    for survey in surveys:
        if survey.name in seen:
            raise SurveyError(f"survey {survey.name} must be given once, but it is given twice")
        seen.add(survey.name)


def accepts_reports(survey: Survey, today: date) -> bool:
    """Return whether reports of the survey are accepted today or on a later day."""
    return today <= _last_day(survey)


def startup_warnings(served: Collection[Survey], stored: Collection[Survey], today: date) -> list[str]:
    """Return one line for every served survey that has ended, and for every running survey that is not served.

    stored: all surveys in the database. The expired counts of a survey are erased even if it is not served.
    """
    ended = [_ended(survey) for survey in served if not accepts_reports(survey, today)]
    names = {survey.name for survey in served}
    missing = [_missing(survey) for survey in stored if survey.name not in names and accepts_reports(survey, today)]
    return ended + missing


def _ended(survey: Survey) -> str:
    return (
        f"{survey.name} has ended: reports were accepted until {_last_day(survey)} and are now rejected;"
        f" the last counts are erased on {survey.erased_on(survey.epoch.label(survey.ends))}"
    )


def _missing(survey: Survey) -> str:
    return (
        f"{survey.name} is in the database but is not served: its devices send reports until {_last_day(survey)},"
        " and this collector refuses them; add the survey file to `hushtally serve`"
    )


def _last_day(survey: Survey) -> date:
    return survey.accepted_until(survey.ends)
