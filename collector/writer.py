"""The writer: one thread that counts the batches of all requests, with many batches in one transaction."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import Empty, Full, Queue

from hushtally.client_sdk.protocol.refused import Refused
from hushtally.collector.admission import Admission
from hushtally.collector.housekeeping import Housekeeping
from hushtally.collector.metrics import Metrics
from hushtally.collector.problem_log import ProblemLog
from hushtally.collector.refusal import Refusal
from hushtally.collector.store import Store, StoreError, describe_failure

MAX_WAITING = 1_000  # batches in memory; while the queue is full, further batches are refused
MAX_IN_GROUP = 1_000  # batches in one transaction
COMMIT_TIMEOUT = 30.0  # seconds that a request waits for its transaction
RETRY_AFTER = 5  # seconds after which a sender may retry
IDLE_WAKEUP = 10.0  # seconds without a batch after which housekeeping runs

_FORKED = (
    "this process was forked from the collector and cannot count batches: run the collector with `hushtally serve`"
)


@dataclass(frozen=True)
class _Waiting:
    """A batch whose request waits for a response. admission: None if the request only checks the store."""

    admission: Admission | None
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
        self._batch_problems, self._check_problems = ProblemLog(), ProblemLog()
        self._closing = False
        self._process = os.getpid()
        self._close_error: StoreError | None = None
        self._lock = threading.Lock()
        self._queue: Queue[_Waiting | None] = Queue(max_waiting)
        housekeeping.purge_if_due()
        self._thread = threading.Thread(target=self._run, name="hushtally-writer", daemon=True)
        self._thread.start()

    def add(self, admission: Admission) -> str:
        """Counts a batch and returns the response when the batch is durable.

        Raises Refusal (unavailable) if the batch was not counted.
        """
        return self._submit(_Waiting(admission))

    def check(self) -> None:
        """Raises Refusal (unavailable) if a batch could not be counted now."""
        self._submit(_Waiting(None))

    def close(self) -> None:
        """Counts the waiting batches and closes the store. Later batches are refused.

        Raises StoreError if the counts are no longer in the store.
        """
        with self._lock:
            first, self._closing = not self._closing, True
        if first:
            self._queue.put(None)
        self._thread.join()
        if self._close_error is not None:
            raise self._close_error

    def _submit(self, waiting: _Waiting) -> str:
        if os.getpid() != self._process:  # a forked process does not have the thread
            self._batch_problems.update([_FORKED])
            raise _unavailable(_FORKED)
        with self._lock:
            if self._closing or not self._thread.is_alive():
                raise _unavailable("the collector is stopping")
            try:
                self._queue.put_nowait(waiting)
            except Full:
                raise _unavailable("too many batches are waiting") from None
        try:
            return waiting.response.result(COMMIT_TIMEOUT)
        except TimeoutError:
            # the batch may still be counted; this is safe, because a retry with the same batch id is not counted again
            raise _unavailable("the database did not respond in time") from None

    def _run(self) -> None:
        try:
            while (group := self._next_group()) is not None:
                self._housekeeping.purge_if_due()
                if group:
                    self._write(group)
                self._housekeeping.checkpoint_if_due()
        finally:
            try:
                self._store.close()
            except StoreError as error:
                self._close_error = error

    def _next_group(self) -> list[_Waiting] | None:
        """Returns the waiting batches in order; None if no batch is left and the writer is closing."""
        group: list[_Waiting] = []
        try:
            waiting = self._queue.get(timeout=IDLE_WAKEUP)
            while waiting is not None:
                group.append(waiting)
                if len(group) == MAX_IN_GROUP:
                    return group
                waiting = self._queue.get_nowait()
        except Empty:
            return group
        if group:
            self._queue.put_nowait(None)
            return group
        return None

    def _write(self, group: list[_Waiting]) -> None:
        admissions = [waiting.admission for waiting in group if waiting.admission is not None]
        problem_log = self._batch_problems if admissions else self._check_problems
        try:
            counted = iter(self._store.add(admissions))
        except Exception as error:
            if admissions:
                self._metrics.count_failed_commit()
            problem_log.update([f"batches {'are' if admissions else 'would be'} refused: {describe_failure(error)}"])
            for waiting in group:
                waiting.response.set_exception(_unavailable("the database could not store the batch"))
            return
        problem_log.update([])
        for waiting in group:
            if waiting.admission is None:
                waiting.response.set_result("")
                continue
            response, new = next(counted)
            if new:
                self._metrics.count_admission(waiting.admission)
            waiting.response.set_result(response)


def _unavailable(detail: str) -> Refusal:
    return Refusal(Refused.UNAVAILABLE, detail, retry_after=RETRY_AFTER)
