"""The devices that a tick of a whole file must work on, found without reading the other devices."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import date

from hushtally.client_sdk.survey import Survey


def devices_with_work(
    connection: sqlite3.Connection, surveys: Sequence[Survey], keep_consent: bool, today: date, after: int, most: int
) -> list[int]:
    """Return the next devices, in ascending order, that have something to answer or a survey to close.

    after: only devices with higher numbers. most: how many at most. The records of a device decide in the end.
    """
    running = [survey for survey in surveys if survey.runs(today)]
    begins = {survey.digest: survey.epoch.start(today).toordinal() for survey in running}
    of_survey = " OR ".join(f"(s.digest = '{digest}' AND s.handled < {begin})" for digest, begin in begins.items())
    agreed = "c.granted" if keep_consent else "c.granted AND c.digest = s.digest"
    found = connection.execute(
        "SELECT DISTINCT s.device FROM schedules AS s LEFT JOIN consents AS c USING (device, survey)"
        " WHERE s.device > ? AND s.silent IS NULL"
        f" AND s.rollbacks >= (SELECT rollbacks FROM file) AND (s.ends < ? OR ({agreed} AND ({of_survey or 0})))"
        " ORDER BY s.device LIMIT ?",
        (after, today.toordinal(), most),
    ).fetchall()
    devices = {device for (device,) in found}
    for survey in running if keep_consent else ():  # consent outlived a version; the schedule is not drawn yet
        rows = connection.execute(
            "SELECT device FROM consents AS c WHERE device > ? AND survey = ? AND granted AND version < ?"
            " AND NOT EXISTS (SELECT 1 FROM schedules WHERE device = c.device AND digest = ?) ORDER BY device LIMIT ?",
            (after, survey.id, survey.version, survey.digest, most),
        )
        devices.update(device for (device,) in rows)
    return sorted(devices)[:most]


def any_rolled_back(connection: sqlite3.Connection, surveys: Sequence[Survey], today: date) -> bool:
    """Return whether a rollback is the only reason why one of these surveys is silent on some device."""
    digests = ", ".join(f"'{survey.digest}'" for survey in surveys if today <= survey.ends)
    found = connection.execute(
        "SELECT 1 FROM file, schedules WHERE file.rollbacks > 0 AND schedules.rollbacks < file.rollbacks"
        f" AND silent IS NULL AND digest IN ({digests}) LIMIT 1"
    )
    return found.fetchone() is not None
