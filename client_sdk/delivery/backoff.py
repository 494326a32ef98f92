"""Backoff: how long to wait after a failure before the next attempt."""

from __future__ import annotations

import time
from datetime import datetime

from hushtally.client_sdk.randomness import Randomness

FIRST_SECONDS, MAX_SECONDS = 1.0, 3_600.0
MAX_RETRY_AFTER = 86_400.0  # a collector cannot silence a device for longer
MAX_FAILING = 10_000  # failing names that are remembered


class Backoff:
    """Exponential backoff with full jitter, for one collector or one batch.

    The wait after n consecutive failures is uniform below 2^n seconds, but below one hour. A Retry-After is added to
    the wait, so that devices with the same Retry-After do not return together. The wait ends when either of two clocks
    says so: the machine's monotonic clock stands still during sleep, and a test can only script the app's clock.
    Brooker 2015, "Exponential backoff and jitter".
    """

    def __init__(self) -> None:
        self.reason = ""  # of the last failure
        self._failures = 0
        self._until = self._until_by_date = 0.0

    def remaining(self, now: datetime) -> float:
        """Seconds until the next attempt."""
        return max(min(self._until - time.monotonic(), self._until_by_date - now.timestamp()), 0.0)

    def failed(self, now: datetime, randomness: Randomness, reason: str, retry_after: float | None = None) -> None:
        """Record a failure and start the next wait. retry_after: seconds, of which at most a day is obeyed."""
        self.reason = reason
        self._failures += 1
        ceiling = min(FIRST_SECONDS * 2 ** min(self._failures, 12), MAX_SECONDS)
        wait = ceiling * randomness.below(1_000) / 1_000 + min(retry_after or 0.0, MAX_RETRY_AFTER)
        self._until = time.monotonic() + wait
        self._until_by_date = now.timestamp() + wait


class Backoffs:
    """The backoffs of everything that failed last, by name: the URL of a collector, or the id of a batch."""

    def __init__(self) -> None:
        self._failing: dict[str | bytes, Backoff] = {}

    def remaining(self, name: str | bytes, now: datetime) -> float:
        """Seconds until the next attempt; 0 if the last one did not fail."""
        failing = self._failing.get(name)
        return failing.remaining(now) if failing else 0.0

    def reason(self, name: str | bytes) -> str | None:
        """The reason of the last failure; None if the last attempt did not fail."""
        failing = self._failing.get(name)
        return failing.reason if failing else None

    def failed(
        self,
        name: str | bytes,
        now: datetime,
        randomness: Randomness,
        reason: str,
        retry_after: float | None = None,
        *,
        always: bool = False,
    ) -> bool:
        """Record a failure; see `Backoff.failed`. Returns whether the failure is remembered.

        Once MAX_FAILING names fail, a new name is remembered only if `always` is set, or if the waits of others ended.
        """
        if name not in self._failing and len(self._failing) >= MAX_FAILING and not always:
            # a list, as another thread may change the dictionary meanwhile
            self._failing = {key: failing for key, failing in list(self._failing.items()) if failing.remaining(now) > 0}
            if len(self._failing) >= MAX_FAILING:
                return False
        self._failing.setdefault(name, Backoff()).failed(now, randomness, reason, retry_after)
        return True

    def succeeded(self, name: str | bytes) -> None:
        """Forget the failures of this name."""
        self._failing.pop(name, None)
