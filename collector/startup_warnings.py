"""Notices: what an operator should know of the surveys as a collector starts."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from hushtally.client_sdk.errors import SurveyError
from hushtally.client_sdk.survey import Survey


def takes_reports(survey: Survey, today: date) -> bool:
    """Whether reports of the survey are, or will be, accepted."""
    return today <= _last(survey)


def notices(served: Collection[Survey], held: Collection[Survey], today: date) -> list[str]:
    """One line for every survey that is served though it has ended, or not served though its reports may come.

    held: all that the database has; what it keeps of those that have ended is erased without their being served.
    """
    ended = [_ended(survey) for survey in served if not takes_reports(survey, today)]
    names = {survey.name for survey in served}
    missing = [_missing(one) for one in held if one.name not in names and takes_reports(one, today)]
    return ended + missing


def _ended(survey: Survey) -> str:
    return (
        f"{survey.name} has ended, its last reports were due by {_last(survey)}: reports are refused,"
        f" and its last counts erased on {survey.erased_on(survey.epoch.label(survey.ends))}"
    )


def _missing(survey: Survey) -> str:
    return (
        f"{survey.name} is in the database but not served: its reports, due by {_last(survey)}, are refused here"
        " until its file is named, too"
    )


def _last(survey: Survey) -> date:
    return survey.accepted_until(survey.ends)


def require_distinct(surveys: Collection[Survey]) -> None:
    """SurveyError if a survey is named twice."""
    seen = set()
    for survey in surveys:
        if survey.name in seen:
            raise SurveyError(f"survey {survey.name} must be named once, but it is named twice")
        seen.add(survey.name)
