"""The writer: durable before answered, many batches to a commit, refusals when it cannot count."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from time import monotonic, sleep
from typing import Any

import pytest

from client_sdk.survey import Survey
from collector import writer as module
from collector.admission import Admission, admit
from collector.cell import Cell
from collector.refusal import Refusal, Refused
from collector.store import StoreError
from collector.writer import Writer

TODAY = date(2026, 11, 24)


class Scripted:
    """A store whose transactions wait for `go` and may fail; it notes what it is asked."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.begun = threading.Event()
        self.error: Exception | None = None
        self.groups: list[int] = []
        self.purged: list[date] = []
        self.settled = 0
        self.closed = False
        self.lost: StoreError | None = None

    def register(self, surveys: Sequence[Survey]) -> None:
        raise NotImplementedError

    def surveys(self) -> list[Survey]:
        raise NotImplementedError

    def tallies(self) -> Iterator[tuple[Cell, Counter[int]]]:
        raise NotImplementedError

    def add(self, admissions: Sequence[Admission]) -> list[str]:
        self.begun.set()
        self.go.wait(10)
        self.groups.append(len(admissions))
        if self.error is not None:
            raise self.error
        return [admission.batch for admission in admissions]

    def purge(self, today: date) -> None:
        self.purged.append(today)

    def settle(self) -> None:
        self.settled += 1

    def close(self) -> None:
        self.closed = True
        if self.lost is not None:
            raise self.lost


def until(condition: Callable[[], bool]) -> None:
    """Waits for what other threads do, ten seconds at most."""
    deadline = monotonic() + 10
    while not condition():
        assert monotonic() < deadline
        sleep(0.001)


@pytest.fixture
def store() -> Scripted:
    return Scripted()


@pytest.fixture
def admissions(survey: Survey, batches: Any) -> list[Admission]:
    return [admit(batches.batch(batches.report()), [survey], TODAY) for _ in range(20)]


def test_batches_that_come_during_a_commit_share_the_next(store: Scripted, admissions: list[Admission]) -> None:
    """The first is written at once; those that gather meanwhile go in one transaction; each gets its own answer."""
    writer = Writer(store, lambda: TODAY)
    with ThreadPoolExecutor(20) as pool:
        first = pool.submit(writer.add, admissions[0])
        assert store.begun.wait(10)
        rest = [pool.submit(writer.add, admission) for admission in admissions[1:]]
        until(lambda: writer._queue.qsize() == 19)
        assert not first.done()
        store.go.set()
        assert [answer.result(10) for answer in [first, *rest]] == [one.batch for one in admissions]
    assert store.groups == [1, 19]
    writer.close()


def test_closing_drains(store: Scripted, admissions: list[Admission]) -> None:
    """What was handed in is written and answered before the store is closed; what comes later is refused."""
    writer = Writer(store, lambda: TODAY)
    with ThreadPoolExecutor(21) as pool:
        answers = [pool.submit(writer.add, admissions[0])]
        assert store.begun.wait(10)
        answers += [pool.submit(writer.add, admission) for admission in admissions[1:]]
        until(lambda: writer._queue.qsize() == 19)
        closing = pool.submit(writer.close)
        until(lambda: writer._closing)
        with pytest.raises(Refusal, match="the collector is stopping"):
            writer.add(admissions[0])
        store.go.set()
        closing.result(10)
        assert [answer.result(10) for answer in answers] == [one.batch for one in admissions]
    assert store.closed
    writer.close()
    with pytest.raises(Refusal, match="the collector is stopping"):
        writer.check()


def test_closing_tells_that_the_counts_are_gone(store: Scripted) -> None:
    """Whoever stops the collector must not believe that all is counted."""
    store.lost = StoreError("gone")
    writer = Writer(store, lambda: TODAY)
    for _ in range(2):
        with pytest.raises(StoreError, match="gone"):
            writer.close()


@pytest.mark.parametrize("error", [StoreError("database full"), RuntimeError("canary")])
def test_a_failed_transaction_is_retryable(
    store: Scripted, admissions: list[Admission], error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """Everyone in the group is told to come again; the writer lives on; an unforeseen error's text is not logged."""
    writer = Writer(store, lambda: TODAY)
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


def test_a_full_queue_refuses(store: Scripted, admissions: list[Admission]) -> None:
    """Memory is bounded: more batches than fit are told to come again."""
    writer = Writer(store, lambda: TODAY, most_waiting=2)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(writer.add, admissions[0])
        assert store.begun.wait(10)
        rest = [pool.submit(writer.add, admission) for admission in admissions[1:3]]
        until(writer._queue.full)
        with pytest.raises(Refusal, match="too many batches are waiting"):
            writer.add(admissions[3])
        store.go.set()
        assert all(answer.result(10) for answer in [first, *rest])
    writer.close()


def test_a_store_that_hangs_is_not_waited_for(
    store: Scripted, admissions: list[Admission], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    writer = Writer(store, lambda: TODAY)
    with pytest.raises(Refusal, match="the database takes too long"):
        writer.add(admissions[0])
    store.go.set()
    writer.close()


def test_each_new_day_is_purged_and_the_log_settled(
    store: Scripted, admissions: list[Admission], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once at the start and once on every new day; a log is emptied some time after what it tells of."""
    monkeypatch.setattr(module, "SETTLE_EVERY", 0.01)
    days = [TODAY]
    writer = Writer(store, lambda: days[-1])
    store.go.set()
    writer.add(admissions[0])
    days.append(TODAY + timedelta(days=1))
    writer.add(admissions[1])
    until(lambda: store.settled > 0)
    writer.close()
    assert store.purged == days
