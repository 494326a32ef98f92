"""Backoff: how long to leave a collector alone, or to keep a batch, after a failure."""

from __future__ import annotations

import time
from datetime import datetime

from hushtally.client_sdk.randomness import Randomness

FIRST_SECONDS, LONGEST_SECONDS = 1.0, 3_600.0
LONGEST_OBEYED = 86_400.0  # of a Retry-After: a collector cannot silence a device for longer
MOST_FAILING = 10_000  # names that are remembered


class Backoff:
    """Full jitter: after the nth failure in a row a uniform wait below 2^n seconds, an hour at most.

    A Retry-After is waited for besides, so that those who were told the same do not come back together. A wait is
    over when either clock says so: this machine's stands still while it sleeps, and only the app's can be scripted.
    Brooker 2015, "Exponential backoff and jitter".
    """

    def __init__(self) -> None:
        self.why = ""  # the last failure
        self._failures = 0
        self._until = self._until_by_date = 0.0

    def remaining(self, now: datetime) -> float:
        """Seconds until the next try."""
        return max(min(self._until - time.monotonic(), self._until_by_date - now.timestamp()), 0.0)

    def failed(self, now: datetime, randomness: Randomness, why: str, retry_after: float | None = None) -> None:
        """Waits longer, and at least the `retry_after` seconds that the collector asked for, a day at most."""
        self.why = why
        self._failures += 1
        ceiling = min(FIRST_SECONDS * 2 ** min(self._failures, 12), LONGEST_SECONDS)
        wait = ceiling * randomness.below(1_000) / 1_000 + min(retry_after or 0.0, LONGEST_OBEYED)
        self._until = time.monotonic() + wait
        self._until_by_date = now.timestamp() + wait


class Backoffs:
    """The backoff of everything that failed last, by name: a collector's address, or a batch's id."""

    def __init__(self) -> None:
        self._failing: dict[str | bytes, Backoff] = {}

    def remaining(self, name: str | bytes, now: datetime) -> float:
        """Seconds until the next try; 0 for what did not fail."""
        failing = self._failing.get(name)
        return failing.remaining(now) if failing else 0.0

    def why(self, name: str | bytes) -> str | None:
        """Why it failed last; None for what did not fail."""
        failing = self._failing.get(name)
        return failing.why if failing else None

    def failed(
        self,
        name: str | bytes,
        now: datetime,
        randomness: Randomness,
        why: str,
        retry_after: float | None = None,
        *,
        always: bool = False,
    ) -> bool:
        """See `Backoff.failed`. Whether it is remembered: where too many fail, only if `always` or others are over."""
        if name not in self._failing and len(self._failing) >= MOST_FAILING and not always:
            self._failing = {name: one for name, one in list(self._failing.items()) if one.remaining(now) > 0}
            if len(self._failing) >= MOST_FAILING:
                return False
        self._failing.setdefault(name, Backoff()).failed(now, randomness, why, retry_after)
        return True

    def succeeded(self, name: str | bytes) -> None:
        """Starts anew."""
        self._failing.pop(name, None)
