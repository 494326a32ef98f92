"""This machine's clock, in UTC: the only place that reads it, apart from a Retry-After date."""

from __future__ import annotations

from datetime import UTC, date, datetime


def utc_now() -> datetime:
    """The current time, timezone-aware."""
    return datetime.now(UTC)


def utc_today() -> date:
    """The current day in UTC, by which surveys begin and end."""
    return utc_now().date()
