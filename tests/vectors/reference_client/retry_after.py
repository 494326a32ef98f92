"""The header Retry-After."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

LONGEST = 86_400


def seconds(headers: Mapping[str, str], now: datetime) -> float:
    """How long the server asks to wait: at most a day, and 0 without a usable header. now: by the device's clock."""
    value = headers.get("Retry-After", "").strip()
    if re.fullmatch("[0-9]+", value):
        return float(min(int(value), LONGEST))
    try:
        answered = parsedate_to_datetime(headers["Date"]) if "Date" in headers else now
        wait = parsedate_to_datetime(value) - answered
    except (ValueError, TypeError):
        return 0.0
    return min(max(wait.total_seconds(), 0.0), float(LONGEST))
