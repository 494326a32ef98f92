"""The writer: one thread that counts the batches of all requests, with many batches in one transaction."""

from __future__ import annotations

import os
import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from time import monotonic

from hushtally.client_sdk.protocol.refused import Refused
from hushtally.collector.admission import Admission
from hushtally.collector.housekeeping import Housekeeping
from hushtally.collector.metrics import Metrics
from hushtally.collector.problem_log import ProblemLog
from hushtally.collector.refusal import Refusal
from hushtally.collector.store import Store, StoreError, describe_failure

MAX_WAITING = 1_000  # batches in memory; while so many wait, further batches are refused
MAX_IN_GROUP = 1_000  # batches in one transaction
COMMIT_TIMEOUT = 30.0  # seconds that a request waits for its transaction
RETRY_AFTER = 5  # seconds after which a sender may retry
IDLE_WAKEUP = 10.0  # seconds without a batch after which the store is checked and housekeeping runs
CHECK_INTERVAL = 1.0  # seconds, at least, between two checks of the store that `problem` asks for
STALLED = 10.0  # seconds in one operation of the store after which the collector is not healthy

_FORKED = (
    "this process was forked from the collector and cannot count batches: run the collector with `hushtally serve`"
)
_STOPPING = "the collector is stopping"
_NO_RESPONSE = "the database did not respond in time"


@dataclass(frozen=True)
class _Waiting:
    """A batch whose request waits for a response."""

    admission: Admission
    response: Future[str] = field(default_factory=Future)


class Writer:
    """Passes batches to the store. The writer owns the store. A batch is durable before its request gets a response.

    While one transaction commits, new batches form a group for the next transaction (group commit). Under load, many
    requests share a commit. Without load, no request waits for other requests.
    """

    def __init__(
        self, store: Store, housekeeping: Housekeeping, metrics: Metrics, *, max_waiting: int = MAX_WAITING
    ) -> None:
        """Purges the store once, and starts the thread. max_waiting: the largest number of batches in memory."""
        self._store = store
        self._housekeeping = housekeeping
        self._metrics = metrics
        self._max_waiting = max_waiting
        self._batch_problems, self._check_problems = ProblemLog(), ProblemLog()
        self._process = os.getpid()
        self._close_error: StoreError | None = None
        self._changed = threading.Condition()  # guards the next four
        self._waiting: deque[_Waiting] = deque()
        self._check_wanted = False
        self._checked = monotonic()
        self._closing = False
        self._busy_since: float | None = None
        self._store_problem: str | None = None  # why the last transaction failed
        housekeeping.purge_if_due()
        self._thread = threading.Thread(target=self._run, name="hushtally-writer", daemon=True)
        self._thread.start()

    def add(self, admission: Admission) -> str:
        """Counts a batch and returns the response when the batch is durable.

        Raises Refusal (unavailable) if the batch was not counted.
        """
        if os.getpid() != self._process:  # a forked process does not have the thread
            self._batch_problems.update([_FORKED])
            raise _unavailable(_FORKED)
        waiting = _Waiting(admission)
        with self._changed:
            if self._closing or not self._thread.is_alive():
                raise _unavailable(_STOPPING)
            if len(self._waiting) >= self._max_waiting:
                raise _unavailable("too many batches are waiting")
            self._waiting.append(waiting)
            self._changed.notify()
        try:
            return waiting.response.result(COMMIT_TIMEOUT)
        except TimeoutError:
            # the batch may still be counted; this is safe, because a retry with the same batch id is not counted again
            raise _unavailable(_NO_RESPONSE) from None

    @property
    def problem(self) -> str | None:
        """Why no batch can be counted now; None if batches can be counted. It never waits.

        This is the result of the last transaction, or of the last check of the store. If it is older than
        CHECK_INTERVAL, the writer is asked to check the store for the next call.
        """
        if os.getpid() != self._process:
            return _FORKED
        if self._closing or not self._thread.is_alive():
            return _STOPPING
        if self._busy_since is not None and monotonic() - self._busy_since > STALLED:
            return _NO_RESPONSE
        with self._changed:
            if monotonic() - self._checked > CHECK_INTERVAL:
                self._check_wanted = True
                self._changed.notify()
        return self._store_problem

    def close(self) -> None:
        """Counts the waiting batches and closes the store. Later batches are refused.

        Raises StoreError if the counts are no longer in the store.
        """
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        if self._close_error is not None:
            raise self._close_error

    def _run(self) -> None:
        try:
            while (group := self._next_group()) is not None:
                self._busy_since = monotonic()
                self._housekeeping.purge_if_due()
                self._write(group)
                self._housekeeping.checkpoint_if_due()
                self._busy_since = None
        finally:
            try:
                self._store.close()
            except StoreError as error:
                self._close_error = error

    def _next_group(self) -> list[_Waiting] | None:
        """Returns the waiting batches in order, or no batch after a while; None if the writer is closing."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._check_wanted or self._closing, IDLE_WAKEUP)
            if self._closing and not self._waiting:
                return None
            self._check_wanted, self._checked = False, monotonic()
            return [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_IN_GROUP))]

    def _write(self, group: list[_Waiting]) -> None:
        """Counts a group of batches; if it is empty, checks whether a batch could be counted."""
        problem_log = self._batch_problems if group else self._check_problems
        try:
            counted = self._store.add([waiting.admission for waiting in group])
        except Exception as error:
            if group:
                self._metrics.count_failed_commit()
            self._store_problem = "the database could not store the batch"
            problem_log.update([f"batches {'are' if group else 'would be'} refused: {describe_failure(error)}"])
            for waiting in group:
                waiting.response.set_exception(_unavailable(self._store_problem))
            return
        self._store_problem = None
        problem_log.update([])
        for waiting, (response, new) in zip(group, counted, strict=True):
            if new:
                self._metrics.count_admission(waiting.admission)
            waiting.response.set_result(response)


def _unavailable(detail: str) -> Refusal:
    return Refusal(Refused.UNAVAILABLE, detail, retry_after=RETRY_AFTER)
