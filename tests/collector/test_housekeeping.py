"""Housekeeping: when a store is purged and checkpointed, and what the log and the metrics say about it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import cast

import pytest

from hushtally.client_sdk.survey import Survey
from hushtally.collector import housekeeping as module
from hushtally.collector.housekeeping import CHECKPOINT_INTERVAL, LONGEST_READ, PURGE_RETRY, Housekeeping
from hushtally.collector.metrics import Metrics
from hushtally.collector.store import Erasure, Store, StoreError

TODAY = date(2026, 11, 24)


class Lab:
    """Housekeeping of a scripted store, with a day and a time that a test sets."""

    def __init__(self, survey: Survey) -> None:
        self.day = TODAY
        self.time = 0.0
        self.purges: list[date] = []
        self.erasures: list[Erasure] = []
        self.purge_error: Exception | None = None
        self.checkpoints = 0
        self.checkpoint_error: Exception | None = None
        self.another_program_reads = False
        self.metrics = Metrics([survey])
        self.housekeeping: Housekeeping

    def purge(self, today: date) -> list[Erasure]:
        self.purges.append(today)
        if self.purge_error is not None:
            raise self.purge_error
        return self.erasures

    def checkpoint(self) -> bool:
        self.checkpoints += 1
        if self.checkpoint_error is not None:
            raise self.checkpoint_error
        return not self.another_program_reads

    def purge_if_due_at(self, time: float) -> None:
        self.time = time
        self.housekeeping.purge_if_due()

    def checkpoint_if_due_at(self, time: float) -> None:
        self.time = time
        self.housekeeping.checkpoint_if_due()


@pytest.fixture
def lab(survey: Survey, monkeypatch: pytest.MonkeyPatch) -> Lab:
    lab = Lab(survey)
    monkeypatch.setattr(module, "monotonic", lambda: lab.time)
    lab.housekeeping = Housekeeping(cast(Store, lab), lambda: lab.day, lab.metrics)
    return lab


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_a_store_is_purged_at_once_and_on_each_new_day(lab: Lab) -> None:
    for _ in range(3):
        lab.housekeeping.purge_if_due()
    lab.day += timedelta(days=1)
    for _ in range(3):
        lab.housekeeping.purge_if_due()
    assert lab.purges == [TODAY, TODAY + timedelta(days=1)]


def test_every_erasure_is_logged(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    """An auditor needs the proof, and an operator sees a wrong clock; a purge that erased nothing logs nothing."""
    lab.erasures = [
        Erasure("habits v1", ("2026-W40", "2026-W41"), date(2026, 12, 1)),
        Erasure("habits v2", ("2026-W41",)),
        Erasure("habits v3"),
    ]
    lab.housekeeping.purge_if_due()
    assert logged(caplog) == [
        "habits v1: erased the counts of 2 epochs, 2026-W40 to 2026-W41; the next erasure is due on 2026-12-01",
        "habits v2: erased the counts of 2026-W41; nothing is left",
    ]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (None, "the counts of habits v1 could not be erased: why"),
        (StoreError("database is locked"), "expired counts could not be erased: database is locked"),
        (RuntimeError("canary"), "expired counts could not be erased: RuntimeError"),
    ],
)
def test_a_purge_that_fails_is_logged_once_and_retried_an_hour_later(
    error: Exception | None, line: str, lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    """A retry that fails again logs nothing; a retry that succeeds logs that the problem is over, until the next day.

    The message of an unexpected error is not logged: it might quote a report.
    """
    lab.purge_error = error
    lab.erasures = [
        Erasure("habits v2"),
        Erasure("habits v1", problem="the counts of habits v1 could not be erased: why"),
    ]
    for time in (0.0, 1.0, PURGE_RETRY - 1):
        lab.purge_if_due_at(time)
    assert len(lab.purges) == 1
    assert "hushtally_erasures_overdue 1\n" in lab.metrics.text(True)
    lab.purge_if_due_at(PURGE_RETRY)
    assert len(lab.purges) == 2
    assert logged(caplog) == [f"{line} (logged once)"]
    lab.purge_error, lab.erasures = None, []
    for time in (2 * PURGE_RETRY, 3 * PURGE_RETRY, 4 * PURGE_RETRY):
        lab.purge_if_due_at(time)
    assert "hushtally_erasures_overdue 0\n" in lab.metrics.text(True)
    lab.day += timedelta(days=1)
    lab.purge_if_due_at(5 * PURGE_RETRY)
    assert lab.purges == [TODAY] * 3 + [lab.day]
    assert logged(caplog) == [f"{line} (logged once)", f"resolved: {line}"]


def test_a_store_is_checkpointed_every_ten_seconds(lab: Lab) -> None:
    for time in (0.0, 9.9, CHECKPOINT_INTERVAL, 19.9, 2 * CHECKPOINT_INTERVAL):
        lab.checkpoint_if_due_at(time)
    assert (CHECKPOINT_INTERVAL, lab.checkpoints) == (10.0, 2)


def test_a_long_read_is_logged_once(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged after five minutes, because the log grows without a limit. The metric shows how long it takes."""
    problem = (
        "the disk still shows in which order batches arrived: another program has been reading the database for"
        " 5 minutes, and the write-ahead log cannot be emptied; end that program"
    )
    lab.another_program_reads = True

    def log_at(time: float) -> list[str]:
        lab.checkpoint_if_due_at(time)
        assert f"hushtally_unsettled_seconds {round(time) if lab.another_program_reads else 0}\n" in lab.metrics.text(
            True
        )
        return logged(caplog)

    assert log_at(10.0) == log_at(LONGEST_READ - 1) == []
    assert log_at(310.0) == log_at(10_000.0) == [f"{problem} (logged once)"]
    lab.another_program_reads = False
    assert log_at(10_010.0) == log_at(10_020.0) == [f"{problem} (logged once)", f"resolved: {problem}"]


@pytest.mark.parametrize(
    ("error", "reason"), [(StoreError("no room"), "no room"), (RuntimeError("canary"), "RuntimeError")]
)
def test_a_checkpoint_that_fails_is_logged_until_one_succeeds(
    error: Exception, reason: str, lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    """While another program reads, no checkpoint runs to its end, so the problem may still exist."""
    line = f"the disk still shows in which order batches arrived: {reason}"
    lab.checkpoint_error = error
    lab.checkpoint_if_due_at(10.0)
    lab.checkpoint_error, lab.another_program_reads = None, True
    for time in (20.0, 30.0):
        lab.checkpoint_if_due_at(time)
    assert logged(caplog) == [f"{line} (logged once)"]
    lab.another_program_reads = False
    lab.checkpoint_if_due_at(40.0)
    assert logged(caplog) == [f"{line} (logged once)", f"resolved: {line}"]
