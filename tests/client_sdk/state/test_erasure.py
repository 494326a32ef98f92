"""Secure deletion: after a withdrawal, no recorded value and no answer is left in any byte of the files."""

import gc
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest

from hushtally import Client
from hushtally.client_sdk.state import erasure
from hushtally.client_sdk.testing import Recorder, SeededRandomness

CANARY = "Canary-Xylophon"
KEY = "customer-4711@kiosk.example"

HOLDER = """
import sys
from datetime import datetime, UTC
from hushtally import Client, Survey
from hushtally.client_sdk.testing import Recorder
client = Client(Survey.parse(open(sys.argv[2]).read()), collector="https://tally.example", state=sys.argv[1],
    cohort={"platform": "web"}, device=sys.argv[3], transport=Recorder(),
    clock=lambda: datetime(2026, 11, 4, tzinfo=UTC))
client.record("purchase", amount=1, category="Canary-Xylophon")
print("open", flush=True)
sys.stdin.readline()
client.record("purchase", amount=1, category="Canary-Xylophon")
print("silent" if not client.status().surveys[0].consent else "agreed", flush=True)
client.close()
sys.stdin.readline()
"""


def lived(lab, survey, **options):
    """A client with canaries in its events, answers and outbox, after many pages and some checkpoints."""
    client = lab.client(survey, device=KEY, **options)
    for day in range(3):
        for index in range(400):
            client.record("purchase", amount=index + 0.123, category=f"{CANARY}-{index % 7}")
        lab.live(client)
        if day == 1:
            client._device._state._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
    client.record("purchase", amount=9, category=CANARY)
    client.tick()
    return client


@pytest.mark.parametrize("memory", ["fresh", "permanent"])
def test_a_withdrawal_leaves_no_byte(lab, memory):
    """The file, its log and its index contain no value, local key, batch id, body or true answer."""
    survey = lab.survey(memory=memory)
    client = lived(lab, survey)
    client._device.journal.write()
    before = lab.on_disk()
    (batch, body) = lab.rows("SELECT batch, body FROM outbox")[0]
    assert CANARY.encode() in before
    assert batch.encode() in before
    client.withdraw_consent()
    left = lab.on_disk()
    for what in (CANARY, KEY, batch, body.decode(), '"symbol"', "2026-11-02T", "0.123"):
        assert what.encode() not in left, what
    assert KEY.encode() not in before
    assert (lab.folder / "state.db-wal").stat().st_size < 32_768
    assert lab.faults == []


def test_a_withdrawal_leaves_no_byte_while_another_process_has_the_file_open(lab, tmp_path):
    """The other process has an event in memory and records another one afterwards; neither reaches the disk."""
    survey = lab.survey()
    (tmp_path / "survey.toml").write_text(lab.text())
    client = lived(lab, survey)
    other = subprocess.Popen(
        [sys.executable, "-c", HOLDER, lab.path, tmp_path / "survey.toml", KEY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with other:
        assert other.stdout.readline() == "open\n"
        client.withdraw_consent()
        assert CANARY.encode() not in lab.on_disk()
        other.stdin.write("\n")
        other.stdin.flush()
        assert other.stdout.readline() == "silent\n"
        assert CANARY.encode() not in lab.on_disk()
        other.stdin.write("\n")
    assert lab.faults == []


def test_a_withdrawal_while_another_process_reads(lab, monkeypatch):
    """The log cannot be emptied at once; the next tick empties it."""
    client = lived(lab, lab.survey())
    reader = lab.client(device="reader")._device._state._connect()
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM events").fetchone()
    client._device._state._connection.execute("PRAGMA busy_timeout = 50")
    client.withdraw_consent()
    assert CANARY.encode() in lab.on_disk()
    reader.execute("COMMIT")
    reader.close()
    client.tick()
    assert CANARY.encode() not in lab.on_disk()
    assert lab.faults == []


@pytest.mark.parametrize("how", ["start", "tick"])
def test_a_withdrawal_in_a_process_that_died_before_the_log_was_empty(lab, how):
    """The next start, or the next tick of another process, finishes the erasure."""
    lived(lab, lab.survey()).close()
    stranger = lab.client(lab.survey(version=9), device="somebody else", agreed=False)
    pid = os.fork()
    if pid == 0:
        client = Client(
            lab.survey(),
            collector="https://tally.example",
            state=lab.path,
            cohort={"platform": "web"},
            device=KEY,
            clock=lab.clock,
            randomness=SeededRandomness(1),
            transport=Recorder(),
        )
        client.record("purchase", amount=1, category=CANARY)
        client.tick()
        client._device.journal.write()
        client._device._state.erase = lambda: os._exit(0)
        client.withdraw_consent()
        os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    assert CANARY.encode() in lab.on_disk()
    if how == "tick":
        stranger.tick()
    else:
        del stranger
        lab.close()
        gc.collect()
        lab.client(lab.survey(version=9), device="somebody else", agreed=False)
    assert CANARY.encode() not in lab.on_disk()


def test_pruned_events_are_erased_from_the_disk(lab):
    """The survey looks back two days. The first tick of the day after that erases the events."""
    client = lived(lab, lab.survey(days=2))
    lab.live(client)
    assert CANARY.encode() in lab.on_disk()
    lab.clock.advance(days=1)
    client.tick()
    assert lab.rows("SELECT count(*) FROM events") == [(0,)]
    assert CANARY.encode() not in lab.on_disk()
    assert lab.faults == []


@pytest.mark.parametrize("call", ["tick", "status"])
def test_trimmed_events_are_erased_from_the_disk(lab, monkeypatch, call):
    """With the next tick or status."""
    monkeypatch.setattr("hushtally.client_sdk.state.events.MAX_EVENTS", 10)
    client = lab.client()
    client.record("purchase", category=CANARY)
    client.status()
    for _ in range(200):
        client.record("purchase", amount=1)
    client._device.journal.write()
    assert CANARY.encode() in lab.on_disk()
    getattr(client, call)()
    assert CANARY.encode() not in lab.on_disk()


@pytest.mark.parametrize("how", ["ended", "superseded"])
def test_unused_permanent_answers_are_erased_from_the_disk(lab, how):
    """With the first tick after the survey ended, or after a newer version replaced it."""
    survey = lab.survey(memory="permanent")
    client = lived(lab, survey)
    row = (survey.digest + "q0").encode()  # no other table has both side by side
    assert row in lab.on_disk()
    if how == "ended":
        lab.clock.now = lab.clock.now.replace(day=22)
    else:
        client = lab.client(lab.survey(memory="permanent", version=2), device=KEY)
    client.tick()
    assert lab.rows("SELECT count(*) FROM answers WHERE digest = ?", survey.digest) == [(0,)]
    assert row not in lab.on_disk()
    assert lab.faults == []


def test_no_temporary_file_is_used(lab):
    assert lab.client()._device._state._connection.execute("PRAGMA temp_store").fetchone() == (2,)


def test_an_erasure_requested_while_another_process_empties_the_log_is_not_lost(lab, monkeypatch):
    """The withdrawal comes after the other process emptied the log, and before it stored that."""
    client = lab.client()
    client.record("purchase", amount=1, category=CANARY)
    client.status()
    with closing(sqlite3.connect(lab.path, isolation_level=None)) as other:
        erasure.request(other)

        class Late:
            """The connection of the other process, which is slow at this moment."""

            def execute(self, statement, *values):
                if statement.startswith("UPDATE"):
                    with monkeypatch.context() as patch:
                        patch.setattr(erasure, "empty_log", lambda _: False)  # as while the other process reads
                        assert not client.withdraw_consent()
                return other.execute(statement, *values)

        assert not erasure.empty_log(Late())
    client.tick()
    assert CANARY.encode() not in lab.on_disk()


def test_erasures_by_two_processes_in_turn_are_all_done(lab):
    """The other process empties the log and deletes more rows, just after this one has emptied it."""
    state = lab.client()._device._state
    with closing(sqlite3.connect(lab.path, isolation_level=None)) as other:
        erasure.request(other)

        class Slow:
            def execute(self, statement, *values):
                if statement.startswith("UPDATE") and not turns:
                    turns.append(erasure.empty_log(other))
                    erasure.request(other)
                return state._connection.execute(statement, *values)

        turns = []
        assert not erasure.empty_log(Slow())
        assert turns == [True]
        assert lab.rows("SELECT erasures_requested - erasures_done FROM file") == [(1,)]
    assert state.erase()
    assert lab.rows("SELECT erasures_requested - erasures_done FROM file") == [(0,)]


def test_an_erasure_does_not_wait_for_a_writer_to_store_that_it_is_done(lab, monkeypatch):
    monkeypatch.setattr("hushtally.client_sdk.state.file.BUSY_SECONDS", 600.0)
    client = lab.client()
    with closing(sqlite3.connect(lab.path, isolation_level=None)) as other:
        with client._device._state.transaction() as connection:
            erasure.request(connection)

        class Held:
            def execute(self, statement, *values):
                if statement.startswith("UPDATE"):
                    other.execute("BEGIN IMMEDIATE")
                return connection.execute(statement, *values)

        connection = client._device._state._connection
        began = time.monotonic()
        assert not erasure.empty_log(Held())
        assert time.monotonic() - began < 300  # the lock is awaited for 600 seconds
        other.execute("ROLLBACK")
        assert connection.execute("PRAGMA busy_timeout").fetchone() == (600_000,)
    assert client._device._state.erase()


def test_rows_in_unused_space_are_erased(lab):
    """For example a copy of a row that SQLite moved while it rearranged pages."""
    client = lab.client()
    client.record("purchase", amount=1)
    client.status()
    with closing(sqlite3.connect(lab.path, isolation_level=None)) as other:
        other.execute("PRAGMA secure_delete = OFF")
        for text in (CANARY * 20, "a" * 100):
            other.execute("INSERT INTO texts VALUES ('moved', ?)", (text,))
            other.execute("DELETE FROM texts WHERE hash = 'moved'")
    assert CANARY.encode() in lab.on_disk()
    assert client.withdraw_consent()
    assert CANARY.encode() not in lab.on_disk()


def test_an_erasure_does_not_wait_for_a_writer(lab, monkeypatch):
    monkeypatch.setattr("hushtally.client_sdk.state.file.BUSY_SECONDS", 600.0)
    client = lab.client()
    client.record("purchase", amount=1, category=CANARY)
    client.status()
    erasure.request(client._device._state._connection)
    with closing(sqlite3.connect(lab.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        assert not client._device._state.erase()
        assert time.monotonic() - began < 300  # the lock is awaited for 600 seconds
        other.execute("ROLLBACK")
    assert client._device._state.erase()


def test_the_log_does_not_grow_while_another_process_reads(lab):
    """The file is vacuumed once, after its log was emptied."""
    client = lab.client()
    for index in range(3_000):
        client.record("purchase", amount=index, category=CANARY)
    client.status()
    with closing(sqlite3.connect(lab.path, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM events").fetchone()
        assert not client.withdraw_consent()
        before = lab.path.with_name("state.db-wal").stat().st_size
        for _ in range(5):
            client.status()
            client.tick()
        assert lab.path.with_name("state.db-wal").stat().st_size < before + 100_000
        other.execute("ROLLBACK")
    client.tick()
    assert CANARY.encode() not in lab.on_disk()


def test_a_file_that_cannot_be_vacuumed(lab):
    """If a quota leaves no room for it, the withdrawal succeeds, and the client continues."""
    client = lab.client()
    for index in range(3_000):
        client.record("purchase", amount=index, category=CANARY)
    client.status()
    client._device._state._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (lab.path.stat().st_size, before[1]))
    try:
        with client._device._state.transaction() as connection:
            connection.execute("DELETE FROM events WHERE id <= 10")
            erasure.request(connection)
        assert client._device._state.erase()
        client._device._state.vacuum()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert lab.rows("SELECT count(*) FROM events") == [(2_990,)]
    assert client.withdraw_consent()
    assert lab.faults == []
