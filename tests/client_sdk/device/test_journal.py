"""Recording while other processes use the state file: the app does not wait, and every loss is counted."""

import sqlite3
import threading
from contextlib import closing, suppress

import pytest

from hushtally.client_sdk.device.embedding import Fault
from hushtally.client_sdk.state import file as state_module
from hushtally.client_sdk.state.counters import Fate

BUSY = Fault("record", "OperationalError", "another process is using the state file")
PAUSED = Fault("record", "StateBusyError", "the state file could not be written a moment ago")


@pytest.fixture
def client(lab, monkeypatch):
    """A client that does not try again by itself after a failed write."""
    monkeypatch.setattr("hushtally.client_sdk.state.file.PAUSE_SECONDS", 600.0)
    return lab.client()


@pytest.fixture
def blocker(lab, client):
    """Another process that is writing."""
    with closing(sqlite3.connect(lab.path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


def events(lab):
    return [fields for (fields,) in lab.rows("SELECT fields FROM events ORDER BY id")]


def test_after_a_failed_write_none_is_tried_for_a_second(lab, client, blocker):
    """Of 67 events the last 64 are stored in order, and the first three are counted."""
    for number in range(67):
        client.record("purchase", amount=number)
    assert lab.faults == []  # nothing is lost: the events are in memory
    blocker.execute("ROLLBACK")
    assert client.status().counters == {Fate.NOT_WRITTEN: 3}
    assert events(lab) == [f'{{"amount": {number}}}' for number in range(3, 67)]


def test_after_a_second_the_next_event_writes_the_buffer(lab, client, blocker):
    for _ in range(65):
        client.record("purchase")
    blocker.execute("ROLLBACK")
    client.record("purchase")
    assert events(lab) == []
    client._device._state._paused_until = 0.0
    client.record("purchase")
    assert len(events(lab)) == 65
    assert lab.rows("SELECT name, count FROM counters") == [(Fate.NOT_WRITTEN, 2)]
    assert client.status().counters == {Fate.NOT_WRITTEN: 2}, "each is counted once"
    assert lab.faults == []  # nothing is lost: the events are in memory


def test_unknown_names_are_counted_without_waiting(lab, client, blocker):
    for _ in range(3):
        client.record("opened")
        client.record("purchase", colour="red")
    assert lab.faults == []
    blocker.execute("ROLLBACK")
    assert client.status().counters == {"dropped: not in any survey": 6}


def test_recording_does_not_wait_for_a_thread_that_waits(lab, client, blocker, monkeypatch):
    """A tick in the background waits for another process; meanwhile a new day begins."""
    client._device._state._connection.execute("PRAGMA busy_timeout = 120000")
    writing, atomic = threading.Event(), state_module.atomic

    def begin(connection):
        writing.set()
        return atomic(connection)

    monkeypatch.setattr(state_module, "atomic", begin)
    lab.clock.advance(days=1)
    ticking = threading.Thread(target=client.tick)
    ticking.start()
    assert writing.wait(120)
    lab.clock.advance(days=1)
    for number in range(70):
        client.record("purchase", amount=number)
    assert ticking.is_alive()
    assert lab.faults == []  # nothing is lost: the events are in memory
    blocker.execute("ROLLBACK")
    ticking.join()
    assert client.status().counters[Fate.NOT_WRITTEN] == 6
    assert len(events(lab)) == 64
    assert lab.rows("SELECT DISTINCT day FROM events") == [(lab.clock.now.date().toordinal(),)]


def test_losses_before_a_withdrawal_are_not_counted_after_it(lab, client, blocker):
    """Another client withdraws and agrees again, as another process may."""
    for _ in range(70):
        client.record("purchase")
    blocker.execute("ROLLBACK")
    other = lab.client()
    other.withdraw_consent()
    other.grant_consent()
    assert client.status().counters == {}
    assert events(lab) == []


def test_a_withdrawal_discards_the_counts_of_losses(lab, client, blocker):
    for _ in range(70):
        client.record("purchase")
    blocker.execute("ROLLBACK")
    client.withdraw_consent()
    client.grant_consent()
    assert client.status().counters == {}


def test_nothing_is_recorded_while_a_withdrawal_cannot_be_written(lab, client, blocker, monkeypatch):
    client._device._state._connection.execute("PRAGMA busy_timeout = 50")
    client.withdraw_consent()
    for _ in range(3):
        client.record("purchase")
    assert [fault.during for fault in lab.faults] == ["withdraw_consent", "record"]
    blocker.execute("ROLLBACK")
    assert client.status().surveys[0].withdrew
    assert lab.rows("SELECT granted FROM consents") == [(0,)]


class TestDurable:
    @pytest.fixture
    def client(self, lab, monkeypatch):
        monkeypatch.setattr("hushtally.client_sdk.state.file.PAUSE_SECONDS", 600.0)
        return lab.client(durable=True)

    def test_every_event_is_on_the_disk_or_its_failure_is_reported(self, lab, client, blocker):
        """An event whose failure was reported waits in memory and is written before the next one."""
        for number in range(3):
            client.record("purchase", amount=number)
        assert lab.faults == [BUSY, PAUSED, PAUSED]
        blocker.execute("ROLLBACK")
        client._device._state._paused_until = 0.0
        client.record("purchase", amount=3)
        assert events(lab) == [f'{{"amount": {number}}}' for number in range(4)]
        assert len(lab.faults) == 3


def test_the_busy_timeout_is_long_again_after_a_brief_call(client):
    """Also after a failure; ticks use the same connection."""
    state = client._device._state
    with suppress(ZeroDivisionError), state.briefly():
        assert state._connection.execute("PRAGMA busy_timeout").fetchone() == (250,)
        raise ZeroDivisionError
    with state.lock() as connection:
        assert connection.execute("PRAGMA busy_timeout").fetchone() == (10_000,)


def test_why_a_brief_call_fails(client, monkeypatch):
    """First because another thread has the connection, then for a second because of that failure."""
    monkeypatch.setattr("hushtally.client_sdk.state.file.BRIEF_SECONDS", 0.01)
    state, held, may_end = client._device._state, threading.Event(), threading.Event()

    def hold():
        with state.lock():
            held.set()
            may_end.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    try:
        for problem in (
            "another thread of the app is using the state file",
            "the state file could not be written a moment ago",
        ):
            with pytest.raises(sqlite3.OperationalError, match=f"^{problem}$"), state.briefly():
                pass
    finally:
        may_end.set()
        thread.join()
