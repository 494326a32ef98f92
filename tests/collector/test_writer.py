"""The writer: durable before answered, many batches to a commit, refusals when it cannot count."""

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
MUST_END = 120.0  # seconds, on a machine however slow


class Scripted:
    """A store whose transactions wait for `go` and may fail; it notes what it is asked."""

    def __init__(self, survey: Survey) -> None:
        self.metrics = Metrics([survey])
        self.go = threading.Event()
        self.begun = threading.Event()
        self.error: Exception | None = None
        self.first = True
        self.groups: list[int] = []
        self.purged: list[date] = []
        self.settled = 0
        self.unsettleable: Exception | None = None
        self.read = 0  # so many times somebody reads when it is to settle
        self.closed = False
        self.lost: StoreError | None = None

    def register(self, surveys: Sequence[Survey]) -> None:
        raise NotImplementedError

    def surveys(self) -> list[Survey]:
        raise NotImplementedError

    def add(self, admissions: Sequence[Admission]) -> list[Counted]:
        self.begun.set()
        assert self.go.wait(MUST_END)
        self.groups.append(len(admissions))
        if self.error is not None:
            raise self.error
        return [Counted(admission.batch, self.first) for admission in admissions]

    def purge(self, today: date) -> list[Erasure]:
        self.purged.append(today)
        return []

    def settle(self) -> bool:
        self.settled += 1
        if self.unsettleable is not None:
            raise self.unsettleable
        return self.settled > self.read

    def close(self) -> None:
        self.closed = True
        if self.lost is not None:
            raise self.lost


def collect(store: Scripted, clock: Callable[[], date], **options: int) -> Writer:
    return Writer(store, Housekeeping(store, clock, store.metrics), store.metrics, **options)


def until(condition: Callable[[], bool]) -> None:
    """Waits for what other threads do, as long as a slow machine may take."""
    deadline = monotonic() + MUST_END
    while not condition():
        assert monotonic() < deadline
        sleep(0.001)


@pytest.fixture
def store(survey: Survey) -> Scripted:
    return Scripted(survey)


@pytest.fixture
def admissions(survey: Survey, batches: Any) -> list[Admission]:
    return [admit(batches.batch(batches.report()), [survey], TODAY) for _ in range(20)]


def test_batches_that_come_during_a_commit_share_the_next(store: Scripted, admissions: list[Admission]) -> None:
    """The first is written at once; those that gather meanwhile go in one transaction; each gets its own answer."""
    writer = collect(store, lambda: TODAY)
    with ThreadPoolExecutor(20) as pool:
        first = pool.submit(writer.add, admissions[0])
        assert store.begun.wait(MUST_END)
        rest = [pool.submit(writer.add, admission) for admission in admissions[1:]]
        until(lambda: writer._queue.qsize() == 19)
        assert not first.done()
        store.go.set()
        assert [answer.result(MUST_END) for answer in [first, *rest]] == [one.batch for one in admissions]
    assert store.groups == [1, 19]
    writer.close()


def test_closing_drains(store: Scripted, admissions: list[Admission]) -> None:
    """What was handed in is written and answered before the store is closed; what comes later is refused."""
    writer = collect(store, lambda: TODAY)
    with ThreadPoolExecutor(21) as pool:
        answers = [pool.submit(writer.add, admissions[0])]
        assert store.begun.wait(MUST_END)
        answers += [pool.submit(writer.add, admission) for admission in admissions[1:]]
        until(lambda: writer._queue.qsize() == 19)
        closing = pool.submit(writer.close)
        until(lambda: writer._closing)
        with pytest.raises(Refusal, match="the collector is stopping"):
            writer.add(admissions[0])
        store.go.set()
        closing.result(MUST_END)
        assert [answer.result(MUST_END) for answer in answers] == [one.batch for one in admissions]
    assert store.closed
    writer.close()
    with pytest.raises(Refusal, match="the collector is stopping"):
        writer.check()


def test_closing_tells_that_the_counts_are_gone(store: Scripted) -> None:
    """Whoever stops the collector must not believe that all is counted."""
    store.lost = StoreError("gone")
    writer = collect(store, lambda: TODAY)
    for _ in range(2):
        with pytest.raises(StoreError, match="gone"):
            writer.close()


@pytest.mark.parametrize("error", [StoreError("database full"), RuntimeError("canary")])
def test_a_failed_transaction_is_retryable(
    store: Scripted, admissions: list[Admission], error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """Everyone in the group is told to come again; the writer lives on; an unforeseen error's text is not logged."""
    writer = collect(store, lambda: TODAY)
    store.go.set()
    store.error = error
    with caplog.at_level(logging.ERROR), pytest.raises(Refusal, match="the database refused to count") as caught:
        writer.add(admissions[0])
    assert caught.value.kind is Refused.UNAVAILABLE
    assert caught.value.retry_after == 5
    assert ("database full" if isinstance(error, StoreError) else "RuntimeError") in caplog.text
    assert "canary" not in caplog.text
    with pytest.raises(Refusal):
        writer.check()
    store.error = None
    writer.check()
    assert writer.add(admissions[0]) == admissions[0].batch
    writer.close()


def test_what_goes_on_failing_is_told_once(
    store: Scripted, admissions: list[Admission], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """However many batches and probes come; and once more when it is over."""
    monkeypatch.setattr(housekeeping, "CHECKPOINT_INTERVAL", 0.0)
    store.unsettleable = StoreError("no log")
    writer = collect(store, lambda: TODAY)
    store.go.set()
    store.error = StoreError("full")
    for ask in (lambda: writer.add(admissions[0]), writer.check) * 3:
        with pytest.raises(Refusal):
            ask()
    until(lambda: store.settled > 3)
    store.error = store.unsettleable = None
    writer.add(admissions[0])
    writer.check()
    until(lambda: len(caplog.records) == 6)
    writer.close()
    lines = ["batches are refused: full", "batches would be refused: full", "traces of single batches are left: no log"]
    told = [f"{line}; told once" for line in lines] + [f"no longer: {line}" for line in lines]
    assert sorted(record.getMessage() for record in caplog.records) == sorted(told)


def test_a_full_queue_refuses(store: Scripted, admissions: list[Admission]) -> None:
    """Memory is bounded: more batches than fit are told to come again."""
    writer = collect(store, lambda: TODAY, most_waiting=2)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(writer.add, admissions[0])
        assert store.begun.wait(MUST_END)
        rest = [pool.submit(writer.add, admission) for admission in admissions[1:3]]
        until(writer._queue.full)
        with pytest.raises(Refusal, match="too many batches are waiting"):
            writer.add(admissions[3])
        store.go.set()
        assert all(answer.result(MUST_END) for answer in [first, *rest])
    writer.close()


def test_a_store_that_hangs_is_not_waited_for(
    store: Scripted, admissions: list[Admission], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    writer = collect(store, lambda: TODAY)
    with pytest.raises(Refusal, match="the database takes too long"):
        writer.add(admissions[0])
    store.go.set()
    writer.close()


def test_each_new_day_is_purged_and_the_log_settled(
    store: Scripted, admissions: list[Admission], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once at the start and once on every new day; a log is emptied some time after what it tells of."""
    monkeypatch.setattr(module, "IDLE_WAKEUP", 0.01)
    monkeypatch.setattr(housekeeping, "CHECKPOINT_INTERVAL", 0.01)
    days = [TODAY]
    writer = collect(store, lambda: days[-1])
    store.go.set()
    writer.add(admissions[0])
    days.append(TODAY + timedelta(days=1))
    writer.add(admissions[1])
    until(lambda: store.settled > 0)
    writer.close()
    assert store.purged == days


def test_a_log_that_somebody_reads_is_emptied_later(
    store: Scripted, admissions: list[Admission], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a further batch, as what was erased must not stay there."""
    monkeypatch.setattr(module, "IDLE_WAKEUP", 0.01)
    monkeypatch.setattr(housekeeping, "CHECKPOINT_INTERVAL", 0.01)
    store.read = 3
    writer = collect(store, lambda: TODAY)
    until(lambda: store.settled == 4)
    writer.close()


def test_a_process_that_is_forked_off_refuses(store: Scripted, admissions: list[Admission]) -> None:
    """Its writer's thread stayed in the other: it says so, to whoever asks and in the log, once."""
    writer = collect(store, lambda: TODAY)
    store.go.set()
    reader, end = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover
        told = []
        logging.getLogger("hushtally.collector").addHandler(handler := logging.Handler())
        handler.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
        for ask in (writer.check, lambda: writer.add(admissions[0])):
            try:
                ask()
            except Refusal as refusal:
                told.append(refusal.detail)
        os.write(end, "\n".join(told).encode())
        os._exit(0)
    os.close(end)
    with os.fdopen(reader, encoding="utf-8") as file:
        said = file.read().splitlines()
    os.waitpid(child, 0)
    why = "this process was forked off the one that counts, and cannot: the collector is run by `hushtally serve`"
    assert said == [f"{why}; told once", why, why]
    assert writer.add(admissions[0]) == admissions[0].batch
    writer.close()


def test_the_metrics_follow_the_transactions(store: Scripted, admissions: list[Admission]) -> None:
    """A batch that failed is counted as such; one that comes again is not counted again."""
    writer = collect(store, lambda: TODAY)
    store.go.set()
    writer.add(admissions[0])
    store.first = False
    writer.add(admissions[0])
    store.error = StoreError("full")
    for ask in (lambda: writer.add(admissions[1]), writer.check):
        with pytest.raises(Refusal):
            ask()
    writer.close()
    text = store.metrics.text(False)
    assert 'hushtally_reports_counted_total{survey="habits",version="1"} 1\n' in text
    assert "hushtally_commits_failed_total 1\n" in text  # the trial of `check` had no batches
    assert "hushtally_commits_failed_total Transactions with batches that failed; " in text
    assert "hushtally_can_count 0\n" in text
