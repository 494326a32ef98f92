"""Housekeeping: the work on a store that a timer starts, not a request."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import date
from time import monotonic

from hushtally.collector.metrics import Metrics
from hushtally.collector.problem_log import ProblemLog
from hushtally.collector.store import Store, describe_failure

PURGE_RETRY = 3_600.0  # seconds until a purge that failed is tried again
CHECKPOINT_INTERVAL = 10.0  # seconds between checkpoints
LONGEST_READ = 300.0  # seconds for which another program may delay checkpoints before that is logged

_READ = (
    f"traces of single batches are left: the log could not be emptied for {LONGEST_READ / 60:g} minutes:"
    " another program has been reading the database since"
)

_log = logging.getLogger("hushtally.collector")


class Housekeeping:
    """Purges a store once a day, and checkpoints it every CHECKPOINT_INTERVAL seconds.

    Only one thread may call it. Failures are logged and shown in the metrics; no method raises one.
    """

    def __init__(self, store: Store, clock: Callable[[], date], metrics: Metrics) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._purge_problems, self._checkpoint_problems = ProblemLog(), ProblemLog()
        self._purged: date | None = None
        self._next_purge = self._checkpointed = monotonic()
        self._next_checkpoint = self._checkpointed + CHECKPOINT_INTERVAL

    def purge_if_due(self) -> None:
        """Purges at the first call and on each new day; after a failure, retries once in PURGE_RETRY seconds."""
        today = self._clock()
        if today == self._purged or monotonic() < self._next_purge:
            return
        problems = set()
        try:
            for erasure in self._store.purge(today):
                if erasure.problem is not None:
                    problems.add(erasure.problem)
                elif erasure.epochs:
                    _log.warning("%s", erasure)
        except Exception as error:
            problems = {f"what is over could not be erased: {describe_failure(error)}"}
        if problems:
            self._next_purge = monotonic() + PURGE_RETRY
        else:
            self._purged = today
        self._purge_problems.update(problems)
        self._metrics.overdue(len(problems))

    def checkpoint_if_due(self) -> None:
        """Checkpoints the store; logs a failure at once, and another program's read after LONGEST_READ seconds."""
        if monotonic() < self._next_checkpoint:
            return
        problem = None
        try:
            done = self._store.settle()
        except Exception as error:
            done, problem = False, f"traces of single batches are left: {describe_failure(error)}"
        now = monotonic()
        self._next_checkpoint = now + CHECKPOINT_INTERVAL
        if done:
            self._checkpointed = now
        elif problem is None and now >= self._checkpointed + LONGEST_READ:
            problem = _READ
        if done or problem is not None:
            self._checkpoint_problems.update([problem] if problem is not None else [])
        self._metrics.unsettled(now - self._checkpointed)
