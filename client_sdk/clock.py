"""The clock of this machine, in UTC. Nothing else reads it, except for a Retry-After date."""

from __future__ import annotations

from datetime import UTC, date, datetime


def utc_now() -> datetime:
    """Return the current time, timezone-aware."""
    return datetime.now(UTC)


def utc_today() -> date:
    """Return the current day in UTC. Surveys start and end by it."""
    return utc_now().date()
