"""Consent of a device to surveys: stores the decision, and draws the schedules."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache

from hushtally.client_sdk.explain.explanation import explain_survey
from hushtally.client_sdk.randomness import Randomness
from hushtally.client_sdk.state import decision, enrollment
from hushtally.client_sdk.state.records import Records
from hushtally.client_sdk.survey import Survey


@lru_cache(maxsize=16)
def consent_text(survey: Survey) -> str:
    """Return the text of `explain` before consent; rendering it takes longer than everything else that consent does."""
    return str(explain_survey(survey))


def grant(
    connection: sqlite3.Connection,
    records: Records,
    surveys: Sequence[Survey],
    shown: Callable[[Survey], str],
    now: datetime,
    ceiling: float | None,
    randomness: Randomness,
) -> list[Survey]:
    """Store consent to every survey, and draw the schedules; return the surveys whose newer version has consent.

    Their consent stays, because consent to an older version would silence the newer version for good. shown: returns
    the text that the customer agreed to. ceiling: the most epsilon that the app allows; None for no limit.
    """
    outdated = [survey for survey in surveys if records.agrees_to_newer(survey)]
    for survey in surveys:
        if survey not in outdated:
            decision.grant(connection, records, survey, now, shown)
            enrollment.enroll(records, survey, ceiling, now.date(), randomness)
    Records.write_all(connection, [records])
    return outdated
