"""The writer: batches are durable before the response, share commits, and are refused if they cannot be counted."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from time import monotonic, sleep
from typing import Any

import pytest

from hushtally.client_sdk.protocol.refused import Refused
from hushtally.client_sdk.survey import Survey
from hushtally.collector import housekeeping
from hushtally.collector import writer as module
from hushtally.collector.admission import Admission, admit
from hushtally.collector.housekeeping import Housekeeping
from hushtally.collector.metrics import Metrics
from hushtally.collector.refusal import Refusal
from hushtally.collector.store import Counted, Erasure, StoreError
from hushtally.collector.writer import Writer

TODAY = date(2026, 11, 24)
DEADLINE = 120.0  # seconds, for the slowest machine


class ScriptedStore:
    """A store whose transactions wait for `go` and may fail. It records its calls."""

    def __init__(self, survey: Survey) -> None:
        self.metrics = Metrics([survey])
        self.go = threading.Event()
        self.begun = threading.Event()
        self.error: Exception | None = None
        self.new = True
        self.groups: list[int] = []
        self.purged: list[date] = []
        self.checkpoints = 0
        self.checkpoint_error: Exception | None = None
        self.reads = 0  # how many checkpoints another program delays
        self.closed = False
        self.close_error: StoreError | None = None

    def register(self, surveys: Sequence[Survey]) -> None:
        raise NotImplementedError

    def surveys(self) -> list[Survey]:
        raise NotImplementedError

    def add(self, admissions: Sequence[Admission]) -> list[Counted]:
        self.begun.set()
        assert self.go.wait(DEADLINE)
        self.groups.append(len(admissions))
        if self.error is not None:
            raise self.error
        return [Counted(admission.batch, self.new) for admission in admissions]

    def purge(self, today: date) -> list[Erasure]:
        self.purged.append(today)
        return []

    def checkpoint(self) -> bool:
        self.checkpoints += 1
        if self.checkpoint_error is not None:
            raise self.checkpoint_error
        return self.checkpoints > self.reads

    def close(self) -> None:
        self.closed = True
        if self.close_error is not None:
            raise self.close_error


def start_writer(store: ScriptedStore, clock: Callable[[], date] = lambda: TODAY, **options: int) -> Writer:
    return Writer(store, Housekeeping(store, clock, store.metrics), store.metrics, **options)


def wait_until(condition: Callable[[], bool]) -> None:
    """Waits for other threads."""
    deadline = monotonic() + DEADLINE
    while not condition():
        assert monotonic() < deadline
        sleep(0.001)


@pytest.fixture
def store(survey: Survey) -> ScriptedStore:
    return ScriptedStore(survey)


@pytest.fixture
def admissions(survey: Survey, batches: Any) -> list[Admission]:
    return [admit(batches.batch(batches.report()), [survey], TODAY) for _ in range(20)]


def test_batches_that_arrive_during_a_commit_share_the_next_commit(
    store: ScriptedStore, admissions: list[Admission]
) -> None:
    """The first batch is written at once, and the others in one transaction. Each batch gets its own response."""
    writer = start_writer(store)
    with ThreadPoolExecutor(20) as pool:
        first = pool.submit(writer.add, admissions[0])
        assert store.begun.wait(DEADLINE)
        rest = [pool.submit(writer.add, admission) for admission in admissions[1:]]
        wait_until(lambda: len(writer._waiting) == 19)
        assert not first.done()
        store.go.set()
        assert [response.result(DEADLINE) for response in [first, *rest]] == [
            admission.batch for admission in admissions
        ]
    assert store.groups == [1, 19]
    writer.close()


def test_closing_counts_the_waiting_batches(store: ScriptedStore, admissions: list[Admission]) -> None:
    """The waiting batches are written and get their responses before the store is closed. Later batches are refused."""
    writer = start_writer(store)
    with ThreadPoolExecutor(21) as pool:
        responses = [pool.submit(writer.add, admissions[0])]
        assert store.begun.wait(DEADLINE)
        responses += [pool.submit(writer.add, admission) for admission in admissions[1:]]
        wait_until(lambda: len(writer._waiting) == 19)
        closing = pool.submit(writer.close)
        wait_until(lambda: writer._closing)
        with pytest.raises(Refusal, match="the collector is stopping"):
            writer.add(admissions[0])
        store.go.set()
        closing.result(DEADLINE)
        assert [response.result(DEADLINE) for response in responses] == [admission.batch for admission in admissions]
    assert store.closed
    writer.close()
    assert writer.problem == "the collector is stopping"


def test_closing_raises_an_error_if_the_counts_are_gone(store: ScriptedStore) -> None:
    """Every caller of close gets the error, because the acknowledged batches are not in the store."""
    store.close_error = StoreError("gone")
    writer = start_writer(store)
    for _ in range(2):
        with pytest.raises(StoreError, match="gone"):
            writer.close()


@pytest.mark.parametrize("error", [StoreError("database full"), RuntimeError("canary")])
def test_the_batches_of_a_failed_transaction_can_be_retried(
    store: ScriptedStore, admissions: list[Admission], error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """They are refused with Retry-After, and the writer goes on. The message of an unexpected error is not logged."""
    writer = start_writer(store)
    store.go.set()
    store.error = error
    with (
        caplog.at_level(logging.ERROR),
        pytest.raises(Refusal, match="the database could not store the batch") as caught,
    ):
        writer.add(admissions[0])
    assert caught.value.kind is Refused.UNAVAILABLE
    assert caught.value.retry_after == 5
    assert ("database full" if isinstance(error, StoreError) else "RuntimeError") in caplog.text
    assert "canary" not in caplog.text
    assert writer.problem == "the database could not store the batch"
    store.error = None
    assert writer.add(admissions[0]) == admissions[0].batch
    assert writer.problem is None
    writer.close()


def test_the_state_of_the_store_is_known_without_a_batch(store: ScriptedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at it answers at once, and asks for a check whose result a later look shows."""
    monkeypatch.setattr(module, "CHECK_INTERVAL", 0.0)
    writer = start_writer(store)
    store.go.set()
    assert writer.problem is None
    store.error = StoreError("full")
    wait_until(lambda: writer.problem == "the database could not store the batch")
    store.error = None
    wait_until(lambda: writer.problem is None)
    assert set(store.groups) == {0}
    writer.close()


def test_a_look_at_the_state_does_not_wait_for_a_store_that_hangs(
    store: ScriptedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHECK_INTERVAL", 0.0)
    monkeypatch.setattr(module, "STALLED", 0.01)
    writer = start_writer(store)
    assert writer.problem is None
    assert store.begun.wait(DEADLINE)
    wait_until(lambda: writer.problem == "the database did not respond in time")
    store.go.set()
    wait_until(lambda: writer.problem is None)
    writer.close()


def test_a_lasting_failure_is_logged_once(
    store: ScriptedStore, admissions: list[Admission], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has one line however many batches and health checks fail, and one line when it is resolved."""
    monkeypatch.setattr(housekeeping, "CHECKPOINT_INTERVAL", 0.0)
    monkeypatch.setattr(module, "IDLE_WAKEUP", 0.01)
    store.checkpoint_error = StoreError("no log")
    writer = start_writer(store)
    store.go.set()
    store.error = StoreError("full")
    for _ in range(3):
        with pytest.raises(Refusal):
            writer.add(admissions[0])
    wait_until(lambda: store.checkpoints > 5)
    store.error = store.checkpoint_error = None
    writer.add(admissions[0])
    wait_until(lambda: len(caplog.records) == 6)
    writer.close()
    problems = [
        "batches are refused: full",
        "batches would be refused: full",
        "the disk still shows in which order batches arrived: no log",
    ]
    lines = [f"{problem} (logged once)" for problem in problems] + [f"resolved: {problem}" for problem in problems]
    assert sorted(record.getMessage() for record in caplog.records) == sorted(lines)


def test_a_full_queue_refuses(store: ScriptedStore, admissions: list[Admission]) -> None:
    """Memory is bounded: further batches are refused, and their senders retry."""
    writer = start_writer(store, max_waiting=2)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(writer.add, admissions[0])
        assert store.begun.wait(DEADLINE)
        rest = [pool.submit(writer.add, admission) for admission in admissions[1:3]]
        wait_until(lambda: len(writer._waiting) == 2)
        with pytest.raises(Refusal, match="too many batches are waiting"):
            writer.add(admissions[3])
        store.go.set()
        assert all(response.result(DEADLINE) for response in [first, *rest])
    writer.close()


def test_a_request_does_not_wait_for_a_store_that_hangs(
    store: ScriptedStore, admissions: list[Admission], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COMMIT_TIMEOUT", 0.01)
    writer = start_writer(store)
    with pytest.raises(Refusal, match="the database did not respond in time"):
        writer.add(admissions[0])
    store.go.set()
    writer.close()


def test_the_store_is_purged_on_each_new_day_and_checkpointed(
    store: ScriptedStore, admissions: list[Admission], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is purged at the start and before the first batch of each new day, and checkpointed after batches."""
    monkeypatch.setattr(module, "IDLE_WAKEUP", 0.01)
    monkeypatch.setattr(housekeeping, "CHECKPOINT_INTERVAL", 0.01)
    days = [TODAY]
    writer = start_writer(store, lambda: days[-1])
    store.go.set()
    writer.add(admissions[0])
    days.append(TODAY + timedelta(days=1))
    writer.add(admissions[1])
    wait_until(lambda: store.checkpoints > 0)
    writer.close()
    assert store.purged == days


def test_a_checkpoint_that_a_read_delayed_is_repeated_without_a_batch(
    store: ScriptedStore, admissions: list[Admission], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Erased counts must not stay in the log while no batch arrives."""
    monkeypatch.setattr(module, "IDLE_WAKEUP", 0.01)
    monkeypatch.setattr(housekeeping, "CHECKPOINT_INTERVAL", 0.01)
    store.reads = 3
    store.go.set()
    writer = start_writer(store)
    wait_until(lambda: store.checkpoints == 4)
    writer.close()


def test_a_forked_process_refuses_every_batch(store: ScriptedStore, admissions: list[Admission]) -> None:
    """The writer's thread stays in the parent process. The child says so in every refusal, and once in its log."""
    writer = start_writer(store)
    store.go.set()
    reader, end = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover
        lines = []
        logging.getLogger("hushtally.collector").addHandler(handler := logging.Handler())
        handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
        lines.append(str(writer.problem))
        try:
            writer.add(admissions[0])
        except Refusal as refusal:
            lines.append(refusal.detail)
        os.write(end, "\n".join(lines).encode())
        os._exit(0)
    os.close(end)
    with os.fdopen(reader, encoding="utf-8") as file:
        lines = file.read().splitlines()
    os.waitpid(child, 0)
    why = (
        "this process was forked from the collector and cannot count batches: run the collector with `hushtally serve`"
    )
    assert lines == [why, f"{why} (logged once)", why]
    assert writer.add(admissions[0]) == admissions[0].batch
    writer.close()


def test_the_metrics_count_transactions(store: ScriptedStore, admissions: list[Admission]) -> None:
    """A failed transaction with batches is counted. A batch that is sent again is not counted again."""
    writer = start_writer(store)
    store.go.set()
    writer.add(admissions[0])
    store.new = False
    writer.add(admissions[0])
    store.error = StoreError("full")
    with pytest.raises(Refusal):
        writer.add(admissions[1])
    writer.close()
    text = store.metrics.text(False)
    assert 'hushtally_reports_counted_total{survey="habits",version="1"} 1\n' in text
    assert "hushtally_commits_failed_total 1\n" in text
    assert "hushtally_commits_failed_total Transactions with batches that failed. " in text
    assert "hushtally_can_count 0\n" in text
