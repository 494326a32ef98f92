"""Backoff: how long to leave a collector alone that did not take a batch."""

from __future__ import annotations

import time

from client_sdk.randomness import Randomness

FIRST_SECONDS, LONGEST_SECONDS = 1.0, 3_600.0
LONGEST_OBEYED = 86_400.0  # of a Retry-After: a collector cannot silence a device for longer


class Backoff:
    """Full jitter: after the nth failure in a row a uniform wait below 2^n seconds, an hour at most.

    Brooker 2015, "Exponential backoff and jitter".
    """

    def __init__(self) -> None:
        self._failures = 0
        self._until = 0.0

    def remaining(self) -> float:
        """Seconds until the next try."""
        return max(self._until - time.monotonic(), 0.0)

    def failed(self, randomness: Randomness, retry_after: str | None = None) -> None:
        """Waits longer; at least as long as the collector asked for, in whole seconds."""
        self._failures += 1
        ceiling = min(FIRST_SECONDS * 2 ** min(self._failures, 12), LONGEST_SECONDS)
        wait = ceiling * randomness.below(1_000) / 1_000
        if retry_after is not None and retry_after.strip().isascii() and retry_after.strip().isdigit():
            wait = max(wait, min(float(retry_after[:9]), LONGEST_OBEYED))
        self._until = time.monotonic() + wait

    def succeeded(self) -> None:
        """Starts anew."""
        self._failures = 0
        self._until = 0.0
