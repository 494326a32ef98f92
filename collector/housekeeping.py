"""Housekeeping: the regular work on a store, such as purges and checkpoints."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import date
from time import monotonic

from hushtally.collector.metrics import Metrics
from hushtally.collector.problem_log import ProblemLog
from hushtally.collector.store import Store, describe_failure

PURGE_RETRY = 3_600.0  # seconds until a failed purge is retried
CHECKPOINT_INTERVAL = 10.0  # seconds between checkpoints
LONGEST_READ = 300.0  # seconds that another program may delay checkpoints before the delay is logged

_NOT_CLEARED = "the disk still shows in which order batches arrived"
_READER = (
    f"{_NOT_CLEARED}: another program has been reading the database for {LONGEST_READ / 60:g} minutes,"
    " and the write-ahead log cannot be emptied; end that program"
)

_log = logging.getLogger("hushtally.collector")


class Housekeeping:
    """Purges a store once a day, and checkpoints it every CHECKPOINT_INTERVAL seconds.

    Only one thread may call the methods. They log a failure and show it in the metrics; they raise nothing.
    """

    def __init__(self, store: Store, clock: Callable[[], date], metrics: Metrics) -> None:
        """clock: returns today's date in UTC."""
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._purge_problems, self._checkpoint_problems = ProblemLog(), ProblemLog()
        self._purged: date | None = None
        self._next_purge = self._checkpointed = monotonic()
        self._next_checkpoint = self._checkpointed + CHECKPOINT_INTERVAL

    def purge_if_due(self) -> None:
        """Purge the store at the first call and on each new day. After a failure, wait PURGE_RETRY seconds."""
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
            problems = {f"expired counts could not be erased: {describe_failure(error)}"}
        if problems:
            self._next_purge = monotonic() + PURGE_RETRY
        else:
            self._purged = today
        self._purge_problems.update(problems)
        self._metrics.set_overdue_erasures(len(problems))

    def checkpoint_if_due(self) -> None:
        """Checkpoint the store every CHECKPOINT_INTERVAL seconds.

        Logs a failure at once, and a delay by another program that reads the database after LONGEST_READ seconds.
        """
        if monotonic() < self._next_checkpoint:
            return
        problem = None
        try:
            done = self._store.checkpoint()
        except Exception as error:
            done, problem = False, f"{_NOT_CLEARED}: {describe_failure(error)}"
        now = monotonic()
        self._next_checkpoint = now + CHECKPOINT_INTERVAL
        if done:
            self._checkpointed = now
        elif problem is None and now >= self._checkpointed + LONGEST_READ:
            problem = _READER
        if done or problem is not None:
            self._checkpoint_problems.update([problem] if problem is not None else [])
        self._metrics.set_checkpoint_age(now - self._checkpointed)
