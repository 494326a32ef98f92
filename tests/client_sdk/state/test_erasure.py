"""Secure deletion: after withdrawal nothing of what was recorded or answered is among the bytes of the files."""

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
    """A client with canaries in its events, answers and outbox, through many pages and some checkpoints."""
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
def test_no_byte_of_it_is_left(lab, memory):
    """Searched in the file, its log and its index: values, the local key, ids of batches, bodies, true answers."""
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


def test_nor_while_another_process_has_the_file_open(lab, tmp_path):
    """It has an event in memory, too, and records another one afterwards; neither reaches the disk."""
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


def test_nor_when_another_is_in_the_midst_of_reading(lab, monkeypatch):
    """Then the log cannot be emptied at once; the next tick does it."""
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
def test_nor_after_a_process_that_died_before_the_log_was_empty(lab, how):
    """The next start, or the next tick of another process, finishes what a killed withdrawal began."""
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


def test_what_is_pruned_goes_from_the_disk_with_the_tick_that_prunes(lab):
    """Events of the last two days, at the first tick of the day on which none of them counts any more."""
    client = lived(lab, lab.survey(days=2))
    lab.live(client)
    assert CANARY.encode() in lab.on_disk()
    lab.clock.advance(days=1)
    client.tick()
    assert lab.rows("SELECT count(*) FROM events") == [(0,)]
    assert CANARY.encode() not in lab.on_disk()
    assert lab.faults == []


@pytest.mark.parametrize("call", ["tick", "status"])
def test_so_does_what_was_too_much(lab, monkeypatch, call):
    """With the first tick or status after it."""
    monkeypatch.setattr("hushtally.client_sdk.state.events.MOST_EVENTS", 10)
    client = lab.client()
    client.record("purchase", category=CANARY)
    client.status()
    for _ in range(200):
        client.record("purchase", amount=1)
    client._device.journal.write()
    assert CANARY.encode() in lab.on_disk()
    getattr(client, call)()
    assert CANARY.encode() not in lab.on_disk()


@pytest.mark.parametrize("how", ["over", "superseded"])
def test_so_do_permanent_answers_that_are_of_no_more_use(lab, how):
    """When the survey is over, with the tick that notices; when a newer version takes its place, with the next."""
    survey = lab.survey(memory="permanent")
    client = lived(lab, survey)
    row = (survey.digest + "q0").encode()  # side by side in no other table
    assert row in lab.on_disk()
    if how == "over":
        lab.clock.now = lab.clock.now.replace(day=22)
    else:
        client = lab.client(lab.survey(memory="permanent", version=2), device=KEY)
    client.tick()
    assert lab.rows("SELECT count(*) FROM answers WHERE digest = ?", survey.digest) == [(0,)]
    assert row not in lab.on_disk()
    assert lab.faults == []


def test_nothing_spills_into_temporary_files(lab):
    assert lab.client()._device._state._connection.execute("PRAGMA temp_store").fetchone() == (2,)


def test_what_is_erased_while_another_process_empties_the_log_stays_due(lab, monkeypatch):
    """A withdrawal comes after the other one emptied the log, and before it noted that nothing is due any more."""
    client = lab.client()
    client.record("purchase", amount=1, category=CANARY)
    client.status()
    with closing(sqlite3.connect(lab.path, isolation_level=None)) as other:
        erasure.due(other)

        class Late:
            """The other process's connection, which is slow at the moment in question."""

            def execute(self, statement, *values):
                if statement.startswith("UPDATE"):
                    with monkeypatch.context() as patch:
                        patch.setattr(erasure, "empty", lambda _: False)  # as while the other one reads
                        assert not client.withdraw_consent()
                return other.execute(statement, *values)

        assert not erasure.empty(Late())
    client.tick()
    assert CANARY.encode() not in lab.on_disk()


def test_what_two_processes_erase_in_turn_is_not_taken_for_done(lab):
    """The other one empties the log and deletes more in the moment in which this one has emptied it."""
    state = lab.client()._device._state
    with closing(sqlite3.connect(lab.path, isolation_level=None)) as other:
        erasure.due(other)

        class Slow:
            def execute(self, statement, *values):
                if statement.startswith("UPDATE") and not turns:
                    turns.append(erasure.empty(other))
                    erasure.due(other)
                return state._connection.execute(statement, *values)

        turns = []
        assert not erasure.empty(Slow())
        assert turns == [True]
        assert lab.rows("SELECT erasing - erased FROM file") == [(1,)]
    assert state.erase()
    assert lab.rows("SELECT erasing - erased FROM file") == [(0,)]


def test_nobody_waits_for_a_writer_to_note_that_nothing_is_due(lab, monkeypatch):
    monkeypatch.setattr("hushtally.client_sdk.state.file.BUSY_SECONDS", 600.0)
    client = lab.client()
    with closing(sqlite3.connect(lab.path, isolation_level=None)) as other:
        with client._device._state.transaction() as connection:
            erasure.due(connection)

        class Held:
            def execute(self, statement, *values):
                if statement.startswith("UPDATE"):
                    other.execute("BEGIN IMMEDIATE")
                return connection.execute(statement, *values)

        connection = client._device._state._connection
        began = time.monotonic()
        assert not erasure.empty(Held())
        assert time.monotonic() - began < 300  # the lock is awaited for 600 seconds
        other.execute("ROLLBACK")
        assert connection.execute("PRAGMA busy_timeout").fetchone() == (600_000,)
    assert client._device._state.erase()


def test_what_sqlite_left_in_unused_space_goes_too(lab):
    """As the single copy of a row that it moved while it rearranged pages."""
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


def test_while_another_process_writes_it_stays_due_and_nobody_waits(lab, monkeypatch):
    monkeypatch.setattr("hushtally.client_sdk.state.file.BUSY_SECONDS", 600.0)
    client = lab.client()
    client.record("purchase", amount=1, category=CANARY)
    client.status()
    erasure.due(client._device._state._connection)
    with closing(sqlite3.connect(lab.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        assert not client._device._state.erase()
        assert time.monotonic() - began < 300  # the lock is awaited for 600 seconds
        other.execute("ROLLBACK")
    assert client._device._state.erase()


def test_a_reader_does_not_make_the_log_grow_by_the_file(lab):
    """It is rebuilt only once its log is empty, and then once."""
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


def test_a_file_that_cannot_be_rebuilt_is_no_failure(lab):
    """As where a quota or a limit of files leaves no room for it: the withdrawal stands, and all goes on."""
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
            erasure.due(connection)
        assert client._device._state.erase()
        client._device._state.rebuild()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert lab.rows("SELECT count(*) FROM events") == [(2_990,)]
    assert client.withdraw_consent()
    assert lab.faults == []
