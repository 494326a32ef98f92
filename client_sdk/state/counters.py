"""The table of counters: how many reports and events ended in which way. A counter contains no value."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from enum import StrEnum


class Fate(StrEnum):
    """How a report or an event ended, or that an answer was missed; each value is the name of a counter."""

    DELIVERED = "delivered"
    EXPIRED = "expired"
    POSTPONED = "postponed: not accepted yet"
    MISSED = "missed: no working tick"

    COHORT_CHANGED = "changed: cohort"
    COHORT_IGNORED = "ignored: cohort given to a tick"

    NOT_IN_SURVEY = "dropped: not in any survey"
    UNUSABLE_VALUE = "dropped: unusable value"
    NOT_WRITTEN = "dropped: not written"
    TOO_MANY_EVENTS = "dropped: too many events"
    DAMAGED_EVENT = "dropped: damaged events"
    DAMAGED_REPORT = "dropped: damaged reports"
    ROLLED_BACK = "dropped: the state file was restored"
    SURVEY_REMOVED = "dropped: the app no longer has the survey"

    # the collector refused the whole batch; the rest of the string is a kind of refusal
    REFUSED_MALFORMED = "refused: malformed"
    REFUSED_TOO_LARGE = "refused: too_large"
    REFUSED_UNSUPPORTED_CONTENT = "refused: unsupported_content"

    # the collector did not count one report; the rest of the string is its reason
    REJECTED_UNKNOWN_QUESTION = "rejected: unknown_question"
    REJECTED_COHORT_MISMATCH = "rejected: cohort_mismatch"
    REJECTED_SYMBOL_OUT_OF_RANGE = "rejected: symbol_out_of_range"
    REJECTED_MALFORMED_EPOCH = "rejected: malformed_epoch"
    REJECTED_EPOCH_OUTSIDE_SURVEY = "rejected: epoch_outside_survey"
    REJECTED_EPOCH_CLOSED = "rejected: epoch_closed"
    REJECTED_EPOCH_NOT_OPEN = "rejected: epoch_not_open"
    REJECTED_OTHER = "rejected: other"


def add_all(connection: sqlite3.Connection, counts: Mapping[tuple[int, Fate], int]) -> None:
    """Add to counters of several devices, each by its device and its name."""
    if not counts:
        return
    connection.executemany(
        "INSERT INTO counters VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
        [(device, fate, by) for (device, fate), by in counts.items()],
    )


def find(connection: sqlite3.Connection, device: int) -> dict[str, int]:
    """Return all counters of the device by name; a file may contain names of an older version."""
    return dict(connection.execute("SELECT name, count FROM counters WHERE device = ? ORDER BY name", (device,)))


def find_sums(connection: sqlite3.Connection) -> dict[str, int]:
    """Return the sums of the counters over all devices, by name."""
    return dict(connection.execute("SELECT name, sum(count) FROM counters GROUP BY name ORDER BY name").fetchall())
