"""What an app records while others hold its state file: the app does not wait, and no loss goes uncounted."""

import sqlite3
import threading
from contextlib import closing, suppress

import pytest

from hushtally.client_sdk.client import Fault
from hushtally.client_sdk.state import file as state_module

UNWRITTEN = "dropped: not written"
HELD = Fault("record", "OperationalError", "others hold the state file")
PAUSING = Fault("record", "StateBusyError", "the state file could not be written a moment ago")


@pytest.fixture
def client(lab, monkeypatch):
    """After a failed write it does not try again by itself within the test."""
    monkeypatch.setattr("hushtally.client_sdk.state.file.PAUSE_SECONDS", 600.0)
    return lab.client()


@pytest.fixture
def blocker(lab, client):
    """Another process in the midst of writing."""
    with closing(sqlite3.connect(lab.path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


def events(lab):
    return [fields for (fields,) in lab.rows("SELECT fields FROM events ORDER BY id")]


def test_one_write_is_tried_then_none_for_a_second(lab, client, blocker):
    """Of 67 events the last 64 are kept, in their order, and the three before them are counted."""
    for number in range(67):
        client.record("purchase", amount=number)
    assert lab.faults == []  # nothing is lost: it waits in memory
    blocker.execute("ROLLBACK")
    assert client.status().counters == {UNWRITTEN: 3}
    assert events(lab) == [f'{{"amount": {number}}}' for number in range(3, 67)]


def test_after_the_second_it_writes_by_itself(lab, client, blocker):
    for _ in range(65):
        client.record("purchase")
    blocker.execute("ROLLBACK")
    client.record("purchase")
    assert events(lab) == []
    client._device._state._resumes = 0.0
    client.record("purchase")
    assert len(events(lab)) == 65
    assert lab.rows("SELECT name, count FROM counters") == [(UNWRITTEN, 2)]
    assert client.status().counters == {UNWRITTEN: 2}, "each is counted once"
    assert lab.faults == []  # nothing is lost: it waits in memory


def test_what_is_not_named_is_counted_without_waiting(lab, client, blocker):
    for _ in range(3):
        client.record("opened")
        client.record("purchase", colour="red")
    assert lab.faults == []
    blocker.execute("ROLLBACK")
    assert client.status().counters == {"dropped: not in any survey": 6}


def test_nor_does_it_wait_for_a_thread_that_waits(lab, client, blocker, monkeypatch):
    """A tick in the background holds the connection while another process holds the file; meanwhile a day begins."""
    client._device._state._connection.execute("PRAGMA busy_timeout = 120000")
    writing, atomic = threading.Event(), state_module._atomic

    def begin(connection):
        writing.set()
        return atomic(connection)

    monkeypatch.setattr(state_module, "_atomic", begin)
    lab.clock.advance(days=1)
    ticking = threading.Thread(target=client.tick)
    ticking.start()
    assert writing.wait(120)
    lab.clock.advance(days=1)
    for number in range(70):
        client.record("purchase", amount=number)
    assert ticking.is_alive()
    assert lab.faults == []  # nothing is lost: it waits in memory
    blocker.execute("ROLLBACK")
    ticking.join()
    assert client.status().counters[UNWRITTEN] == 6
    assert len(events(lab)) == 64
    assert lab.rows("SELECT DISTINCT day FROM events") == [(lab.clock.now.date().toordinal(),)]


def test_what_was_lost_before_a_withdrawal_is_not_told_after_it(lab, client, blocker):
    """Withdrawn, and agreed to again, through another client, as in another process."""
    for _ in range(70):
        client.record("purchase")
    blocker.execute("ROLLBACK")
    other = lab.client()
    other.withdraw_consent()
    other.grant_consent()
    assert client.status().counters == {}
    assert events(lab) == []


def test_a_withdrawal_forgets_it_too(lab, client, blocker):
    for _ in range(70):
        client.record("purchase")
    blocker.execute("ROLLBACK")
    client.withdraw_consent()
    client.grant_consent()
    assert client.status().counters == {}


def test_with_an_unwritten_withdrawal_nothing_is_recorded_and_one_try_made(lab, client, blocker, monkeypatch):
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

    def test_every_event_is_on_the_disk_or_told(self, lab, client, blocker):
        """What was told waits in memory like any other, and is written before the next one."""
        for number in range(3):
            client.record("purchase", amount=number)
        assert lab.faults == [HELD, PAUSING, PAUSING]
        blocker.execute("ROLLBACK")
        client._device._state._resumes = 0.0
        client.record("purchase", amount=3)
        assert events(lab) == [f'{{"amount": {number}}}' for number in range(4)]
        assert len(lab.faults) == 3


def test_the_file_is_awaited_for_long_again_afterwards(client):
    """By ticks and answers, on the same connection, also after a failure."""
    state = client._device._state
    with suppress(ZeroDivisionError), state.briefly():
        assert state._connection.execute("PRAGMA busy_timeout").fetchone() == (250,)
        raise ZeroDivisionError
    assert state._connection.execute("PRAGMA busy_timeout").fetchone() == (10_000,)


def test_why_it_fails_at_once(client, monkeypatch):
    """Another thread has the connection; and then, for a second, that it had."""
    monkeypatch.setattr("hushtally.client_sdk.state.file.BRIEF_SECONDS", 0.01)
    state, held, free = client._device._state, threading.Event(), threading.Event()

    def hold():
        with state.lock():
            held.set()
            free.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    try:
        for problem in (
            "another thread of the app holds the state file",
            "the state file could not be written a moment ago",
        ):
            with pytest.raises(sqlite3.OperationalError, match=f"^{problem}$"), state.briefly():
                pass
    finally:
        free.set()
        thread.join()
