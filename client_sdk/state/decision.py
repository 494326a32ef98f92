"""The customer's decisions: consent and withdrawal, with the text that was shown."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import lru_cache

from hushtally.client_sdk.state import erasure, outbox
from hushtally.client_sdk.state.consent import Consent
from hushtally.client_sdk.state.enrollment import silence_permanent
from hushtally.client_sdk.state.records import Records
from hushtally.client_sdk.survey import Survey


def grant(
    connection: sqlite3.Connection, records: Records, survey: Survey, now: datetime, shown: Callable[[Survey], str]
) -> None:
    """Store that the device agrees, and the text that was shown. The first receipt for a digest stays.

    The records must be written afterwards. shown: returns the text. Many devices of a file are shown the same text; it
    is stored once.
    """
    found = records.consents.get(survey.id)
    if found is not None and found.digest == survey.digest and found.granted:
        return
    text = shown(survey)
    text_hash = _hash(text)
    connection.execute("INSERT OR IGNORE INTO texts VALUES (?, ?)", (text_hash, text))
    _decide(records, survey, True, now, text_hash)
    if found is not None and found.shown is not None:
        Records.write_all(connection, [records])
        _delete_unused(connection, [found.shown])


def withdraw(connection: sqlite3.Connection, records: Records, surveys: Iterable[Survey], now: datetime) -> None:
    """Store a withdrawal; delete everything of the device except its decisions, its schedules and its ledger.

    The withdrawal covers every survey that the device ever agreed to, also those that the app no longer has.
    """
    texts = [one.shown for one in records.consents.values() if one.shown is not None]
    connection.execute("UPDATE devices SET withdrawals = withdrawals + 1 WHERE device = ?", (records.device,))
    for survey in surveys:
        _decide(records, survey, False, now, None)
    for id, one in records.consents.items():
        if one.granted:
            records.consents[id] = one._replace(granted=0, at=_iso(now), shown=None)
    if records.intact:
        records.answers.clear()
        silence_permanent(records)
    Records.write_all(connection, [records])
    if not records.intact:
        _withdraw_damaged(connection, records.device, now)
    for table in ("cohorts", "events", "answers", "counters"):
        connection.execute(f"DELETE FROM {table} WHERE device = ?", (records.device,))
    outbox.erase(connection, records.device)
    _delete_unused(connection, texts)
    erasure.request(connection)


def _withdraw_damaged(connection: sqlite3.Connection, device: int, now: datetime) -> None:
    """Erase what the records of a damaged device may lack. The device stays damaged, and silent."""
    connection.execute(
        "UPDATE consents SET granted = 0, at = ?, shown = NULL WHERE device = ? AND granted", (_iso(now), device)
    )
    connection.execute(  # single costs would reveal when an answer changed
        "UPDATE ledger SET epsilon = 0.0 WHERE device = ? AND digest IN"
        " (SELECT digest FROM schedules WHERE device = ? AND permanent)",
        (device, device),
    )


def _decide(records: Records, survey: Survey, granted: bool, now: datetime, shown: str | None) -> None:
    decision = Consent(records.device, survey.id, survey.version, survey.digest, int(granted), _iso(now), shown)
    records.consents[survey.id] = decision


@lru_cache(maxsize=16)
def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _iso(now: datetime) -> str:
    return now.isoformat(timespec="seconds")


def _delete_unused(connection: sqlite3.Connection, texts: Iterable[str]) -> None:
    """Delete each of these texts that no receipt refers to any more."""
    for text_hash in texts:
        connection.execute(
            "DELETE FROM texts WHERE hash = ? AND NOT EXISTS (SELECT 1 FROM consents WHERE shown = ?)",
            (text_hash, text_hash),
        )
