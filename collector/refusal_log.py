"""RefusalLog: counts what was refused, with one line per reason and minute, and never what a sender wrote."""

from __future__ import annotations

import logging
from collections import Counter
from threading import Lock
from time import monotonic

INTERVAL = 60.0  # seconds, at least, between two lines about one reason

_log = logging.getLogger("hushtally.collector")


class RefusalLog:
    """The number of refusals by reason since the last line about it. The methods are thread-safe.

    The first refusal is logged at once, so that an operator notices a broken release of an app.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._since: Counter[str] = Counter()
        self._logged: dict[str, float] = {}

    def count(self, reason: str) -> None:
        """Count a refusal; log it if the last line about the reason is a minute old. reason: from a closed list."""
        with self._lock:
            self._since[reason] += 1
        self._flush(reason)

    def flush(self) -> None:
        """Log the refusals that were counted after the last line about their reason, a minute after it."""
        for reason in list(self._since):
            self._flush(reason)

    def _flush(self, reason: str) -> None:
        with self._lock:
            number, now = self._since[reason], monotonic()
            if not number or now < self._logged.get(reason, -INTERVAL) + INTERVAL:
                return
            self._since[reason], self._logged[reason] = 0, now
        _log.warning("refused %s: %s", "1 request" if number == 1 else f"{number:,} requests", reason)
