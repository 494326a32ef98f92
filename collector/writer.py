"""The writer: one thread that counts what many requests bring, many batches to a transaction."""

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

MOST_WAITING = 1_000  # batches in memory; more are told to come later
MOST_IN_GROUP = 1_000  # batches in one transaction
PATIENCE = 30.0  # seconds that a request waits for its transaction
RETRY_AFTER = 5  # seconds
IDLE_WAKEUP = 10.0  # seconds without a batch after which housekeeping runs

_FORKED = "this process was forked off the one that counts, and cannot: the collector is run by `hushtally serve`"


@dataclass(frozen=True)
class _Waiting:
    """A batch whose request waits for the answer; without a batch, a request that asks whether the store answers."""

    admission: Admission | None
    answer: Future[str] = field(default_factory=Future)


class Writer:
    """Hands batches to the store, which it owns. A request that got its answer can rely on it: it is durable.

    While one transaction commits, the batches of other requests gather for the next: under load a commit is shared,
    without load nobody waits for company.
    """

    def __init__(
        self, store: Store, housekeeping: Housekeeping, metrics: Metrics, *, most_waiting: int = MOST_WAITING
    ) -> None:
        self._store = store
        self._housekeeping = housekeeping
        self._metrics = metrics
        self._failed = {True: ProblemLog(), False: ProblemLog()}  # of batches, of trials without any
        self._closing = False
        self._process = os.getpid()
        self._lost: StoreError | None = None
        self._lock = threading.Lock()
        self._queue: Queue[_Waiting | None] = Queue(most_waiting)
        housekeeping.purge_if_due()
        self._thread = threading.Thread(target=self._run, name="hushtally-writer", daemon=True)
        self._thread.start()

    def add(self, admission: Admission) -> str:
        """The answer to a batch, once it is durable; Refusal (unavailable) if it could not be counted."""
        return self._ask(_Waiting(admission))

    def check(self) -> None:
        """Refusal (unavailable) unless the writer works and the store answers."""
        self._ask(_Waiting(None))

    def close(self) -> None:
        """Counts what was handed in, then lets go of the store. What comes later is refused.

        StoreError when what was counted is no longer in the store.
        """
        with self._lock:
            first, self._closing = not self._closing, True
        if first:
            self._queue.put(None)
        self._thread.join()
        if self._lost is not None:
            raise self._lost

    def _ask(self, waiting: _Waiting) -> str:
        if os.getpid() != self._process:  # a thread does not live on in a process that was forked off
            self._failed[True].update([_FORKED])
            raise _unavailable(_FORKED)
        with self._lock:
            if self._closing or not self._thread.is_alive():
                raise _unavailable("the collector is stopping")
            try:
                self._queue.put_nowait(waiting)
            except Full:
                raise _unavailable("too many batches are waiting") from None
        try:
            return waiting.answer.result(PATIENCE)
        except TimeoutError:
            # it may yet be counted: the same batch id will then get the same answer
            raise _unavailable("the database takes too long") from None

    def _run(self) -> None:
        try:
            while (group := self._group()) is not None:
                self._housekeeping.purge_if_due()
                if group:
                    self._write(group)
                self._housekeeping.checkpoint_if_due()
        finally:
            try:
                self._store.close()
            except StoreError as error:
                self._lost = error

    def _group(self) -> list[_Waiting] | None:
        """What waits, in order; None once all was taken and the writer is closing."""
        group: list[_Waiting] = []
        try:
            waiting = self._queue.get(timeout=IDLE_WAKEUP)
            while waiting is not None:
                group.append(waiting)
                if len(group) == MOST_IN_GROUP:
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
        failed = self._failed[bool(admissions)]
        try:
            counted = iter(self._store.add(admissions))
        except Exception as error:
            if admissions:
                self._metrics.failed()
            failed.update([f"batches {'are' if admissions else 'would be'} refused: {describe_failure(error)}"])
            for waiting in group:
                waiting.answer.set_exception(_unavailable("the database refused to count"))
            return
        failed.update([])
        for waiting in group:
            if waiting.admission is None:
                waiting.answer.set_result("")
                continue
            answer, first = next(counted)
            if first:
                self._metrics.admitted(waiting.admission)
            waiting.answer.set_result(answer)


def _unavailable(detail: str) -> Refusal:
    return Refusal(Refused.UNAVAILABLE, detail, retry_after=RETRY_AFTER)
