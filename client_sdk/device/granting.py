"""Consent of a device to surveys: stores the decision, and draws the schedules."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache

from hushtally.client_sdk import calls
from hushtally.client_sdk.explain.explanation import explain_survey
from hushtally.client_sdk.randomness import Randomness
from hushtally.client_sdk.state import cohorts, counters, decision, enrollment
from hushtally.client_sdk.state.cohorts import in_force
from hushtally.client_sdk.state.records import Records
from hushtally.client_sdk.survey import Survey

logger = logging.getLogger("hushtally")

OUTDATED_MESSAGE = "grant_consent: ignored for %s, because this device agrees to a newer version"
NO_COHORT_MESSAGE = "grant_consent: %s is silent until a client gives cohort= for this device"


@lru_cache(maxsize=16)
def consent_text(survey: Survey) -> str:
    """Return the text of `explain` before consent; rendering it takes longer than everything else that consent does."""
    return str(explain_survey(survey))


def grant(
    connection: sqlite3.Connection,
    records: Records,
    surveys: Sequence[Survey],
    shown: Callable[[Survey], str],
    given: Mapping[str, str],
    now: datetime,
    ceiling: float | None,
    randomness: Randomness,
) -> list[Survey]:
    """Store consent to every survey, and draw the schedules; return the surveys whose newer version has consent.

    Their consent stays, because consent to an older version would silence the newer version for good. shown: returns
    the text that the customer agreed to. given: the cohorts that the app gave, by name. ceiling: the most epsilon that
    the app allows; None for no limit.
    """
    outdated = [survey for survey in surveys if records.agrees_to_newer(survey)]
    for survey in surveys:
        if survey in outdated:
            calls.report(logger.warning, OUTDATED_MESSAGE, survey.name)
            continue
        decision.grant(connection, records, survey, now, shown)
        enrollment.enroll(records, survey, ceiling, now.date(), randomness)
        if in_force(survey, records.cohorts, given) is None:
            calls.report(logger.warning, NO_COHORT_MESSAGE, survey.name)
    Records.write_all(connection, [records])
    declared = {name for survey in surveys if survey not in outdated for name in survey.cohorts}
    new = {name: value for name, value in given.items() if name in declared}
    counters.add_all(connection, cohorts.store_all(connection, [(records.device, records.cohorts, new)]))
    return outdated
