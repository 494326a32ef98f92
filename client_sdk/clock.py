"""Clocks in UTC: this machine's clock, which only a Retry-After date reads elsewhere, and clocks that an app passes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime

from hushtally.client_sdk.errors import ClientError


def utc_now() -> datetime:
    """Return the current time, timezone-aware."""
    return datetime.now(UTC)


def utc_today() -> date:
    """Return the current day in UTC. Surveys start and end by it."""
    return utc_now().date()


def in_utc(clock: Callable[[], datetime]) -> Callable[[], datetime]:
    """Return a clock that shows the same moments in UTC. It raises ClientError for a time without a time zone."""

    def read() -> datetime:
        now = clock()
        if not isinstance(now, datetime) or now.utcoffset() is None:
            raise ClientError(f"clock must return a datetime with a time zone, got {now!r}")
        return now.astimezone(UTC)

    return read


def utc_day(day: date) -> date:
    """Return the day in UTC of a datetime with a time zone, and the day itself of any other datetime or date."""
    if not isinstance(day, datetime):
        return day
    return (day if day.utcoffset() is None else day.astimezone(UTC)).date()
