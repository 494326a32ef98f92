"""When the state file is opened, what happens if it cannot be opened at first, and when it is closed."""

from __future__ import annotations

import gc
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hushtally import Client, Survey
from hushtally.client_sdk.state.file import State
from hushtally.client_sdk.testing import Recorder, ScriptedClock

Options = dict[str, Any]
EXAMPLE = Path(__file__).parents[3] / "hushtally" / "survey" / "templates" / "shop.toml"


@pytest.fixture
def options(tmp_path: Path, clock: ScriptedClock) -> Options:
    return {"collector": "https://tally.example", "state": tmp_path / "state.db", "cohort": {"platform": "web"},
            "clock": clock, "transport": Recorder()}  # fmt: skip


@pytest.fixture
def short_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hushtally.client_sdk.state.file.BUSY_SECONDS", 0.05)


@pytest.mark.usefixtures("short_timeout")
def test_the_file_stays_the_same_if_the_working_directory_changes(
    survey: Survey, options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path is resolved when the client is created, also for later attempts and after `close`."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(tmp_path)
    options["state"] = "state.db"
    with Client(survey, **options) as client:
        client.grant_consent()
    for state in list(State._open.values()):  # as in a new process
        state.close()
    State._open.clear()
    with closing(sqlite3.connect("state.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        client = Client(survey, **options)
        other.execute("ROLLBACK")
    monkeypatch.chdir(elsewhere)
    assert client.withdraw_consent()
    client.close()
    assert client.status().surveys[0].withdrew
    assert list(elsewhere.iterdir()) == []
    monkeypatch.chdir(tmp_path)
    with Client(survey, **options) as client:
        assert client.status().surveys[0].withdrew


@pytest.mark.usefixtures("short_timeout")
def test_a_withdrawal_opens_a_file_that_was_locked_at_first(survey: Survey, options: Options) -> None:
    with Client(survey, **options) as client:
        client.grant_consent()
    for state in list(State._open.values()):  # as in a new process
        state.close()
    State._open.clear()
    faults: list[Any] = []
    with closing(sqlite3.connect(options["state"])) as other:
        other.execute("BEGIN EXCLUSIVE")
        client = Client(survey, **options, on_error=faults.append)
        assert client.status().silent is not None
        client.withdraw_consent()
        assert [fault.during for fault in faults] == ["constructor", "withdraw_consent"]
        other.execute("ROLLBACK")
    client.withdraw_consent()
    assert client.status().silent is None
    assert not client.status().surveys[0].consent
    client.close()
    with Client(survey, **options) as client:
        assert not client.status().surveys[0].consent


def test_a_decision_after_close_is_reported_as_a_failure(survey: Survey, options: Options) -> None:
    faults: list[Any] = []
    client = Client(survey, **options, on_error=faults.append)
    client.close()
    client.withdraw_consent()
    client.grant_consent()
    assert [fault.during for fault in faults] == ["withdraw_consent", "grant_consent"]


@pytest.fixture
def _no_garbage_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def is_open(path: Path) -> bool:
    """Whether a connection is open: SQLite deletes the log when the last one is closed."""
    return path.with_name(f"{path.name}-wal").exists()


@pytest.mark.usefixtures("_no_garbage_collection")
class TestTheFileIsClosed:
    @pytest.mark.parametrize(
        "used",
        [
            "opened",
            "used",
            "started",
            "failing",
            pytest.param("forked", marks=pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")),
        ],
    )
    def test_with_its_last_client(self, used: str, survey: Survey, options: Options) -> None:
        """Without a garbage collection. The file can be opened again."""
        path = options["state"]
        for _ in range(2):
            clients = [Client(survey, **options, device=key) for key in "aab"]
            for client in clients:
                if used != "opened":
                    client.grant_consent()
                    client.record("purchase", amount=1, category=object())  # type: ignore[arg-type]
                    client.tick()
                    client.flush(1.0)
                if used == "started":
                    client.start()
                if used == "failing":
                    client._call("tick", lambda device: device.send("soon"), None)  # type: ignore[arg-type]
            if used == "forked":
                child = os.fork()
                if child == 0:
                    try:
                        for client in clients:
                            client.close()
                    finally:
                        os._exit(0)
                os.waitpid(child, 0)
                clients[0].record("purchase", amount=1)
                clients[0].status()
            for client in clients:
                assert is_open(path)
                client.close()
            assert not is_open(path)

    def test_after_a_closed_client_has_read_it(self, survey: Survey, options: Options) -> None:
        """A page that is shown after `close` must not ask for consent again."""
        faults: list[Any] = []
        with Client(survey, **options, on_error=faults.append) as client:
            client.grant_consent()
        assert client.status().surveys[0].consent
        assert "You agreed." in str(client.explain())
        assert [receipt.granted for receipt in client.receipts()] == [True]
        assert not is_open(options["state"])
        options["state"].write_text("damaged")
        assert not client.status().surveys[0].consent
        assert [fault.during for fault in faults] == ["status"]

    def test_not_during_a_fork(self, survey: Survey, options: Options) -> None:
        """A child that is forked while SQLite closes could never use it, so a fork waits for the lock of the state."""
        client = Client(survey, **options)
        assert client._device is not None
        state = client._device._state
        connection, held = state._connection, []

        class Watched:
            def close(self) -> None:
                other = threading.Thread(target=lambda: held.append(not state._lock.acquire(blocking=False)))
                other.start()
                other.join()
                connection.close()  # type: ignore[union-attr]

        state._connection = Watched()  # type: ignore[assignment]
        client.close()
        assert held == [True]

    def test_without_waiting_for_a_thread_that_is_using_it(
        self, survey: Survey, options: Options, clock: ScriptedClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """For example a thread of another client that waits for another process; there is nothing to write."""
        monkeypatch.setattr("hushtally.client_sdk.state.file.MARK_SECONDS", 600.0)
        path, faults = options["state"], []
        options |= {"clock": clock, "on_error": faults.append}
        other = Client(survey, **options)
        with Client(survey, **options) as client:
            client.grant_consent()
            client.tick()
            assert other._device is not None
            may_end, using = threading.Event(), threading.Event()

            def use(state: State) -> None:
                with state.lock():
                    using.set()
                    may_end.wait(60)

            thread = threading.Thread(target=use, args=(other._device._state,))
            thread.start()
            assert using.wait(60)
        assert thread.is_alive()
        other.close()
        assert thread.is_alive()
        assert is_open(path)
        may_end.set()
        thread.join()
        assert not is_open(path)
        assert faults == []

    def test_later_if_close_did_not_wait_for_its_thread(
        self, survey: Survey, options: Options, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("hushtally.client_sdk.device.embedding.CLOSE_SECONDS", 0.1)
        faults: list[Any] = []
        client = Client(survey, **options, on_error=faults.append)
        client.grant_consent()
        client.record("purchase", amount=1)
        with closing(sqlite3.connect(options["state"], isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            client.close()
            assert [(fault.during, fault.kind) for fault in faults] == [("close", "StateError")]
            other.execute("ROLLBACK")
        until = time.monotonic() + 120
        while is_open(options["state"]) and time.monotonic() < until:
            time.sleep(0.01)
        assert not is_open(options["state"])
        with closing(sqlite3.connect(options["state"])) as connection:
            assert connection.execute("SELECT count(*) FROM events").fetchone() == (1,)


EXIT = """
import sys, pathlib
from hushtally.client_sdk.state import file as state
from hushtally import Client, Survey
state.BUSY_SECONDS = 3_600.0
survey = Survey.parse(pathlib.Path(sys.argv[1]).read_text())
clients = [Client(survey, collector="https://tally.example", state=sys.argv[2], device=str(n),
                  cohort={"platform": "web"}) for n in range(5)]
for client in clients:
    client.grant_consent()
    client.record("purchase", amount=1, category="books")
print("recorded", flush=True)
sys.stdin.readline()
"""


@pytest.mark.slow
def test_an_exit_does_not_wait_for_a_locked_file(tmp_path: Path) -> None:
    """Five devices have something to write while another process locks the file. The interpreter exits nevertheless."""
    (tmp_path / "survey.toml").write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    command = [sys.executable, "-c", EXIT, str(tmp_path / "survey.toml"), str(tmp_path / "state.db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "recorded\n"
        with closing(sqlite3.connect(tmp_path / "state.db")) as other:
            other.execute("BEGIN EXCLUSIVE")
            process.stdin.close()
            assert process.wait(120) == 0  # others are awaited for an hour


VERSION_1 = """
DROP TABLE cohorts;
DROP TABLE mixes;
DROP INDEX outbox_by_due;
DROP INDEX outbox_by_mix;
ALTER TABLE outbox DROP COLUMN sent_in;
ALTER TABLE file DROP COLUMN pending_inode;
ALTER TABLE file DROP COLUMN mark_due;
ALTER TABLE file ADD COLUMN pending_since INTEGER;
ALTER TABLE file ADD COLUMN mark_changed INTEGER;
UPDATE file SET mark_inode = substr(mark_inode, 1, instr(mark_inode || '.', '.') - 1);
PRAGMA user_version = 1;
"""


@pytest.mark.skipif(sqlite3.sqlite_version_info < (3, 35), reason="this SQLite cannot drop a column")
@pytest.mark.parametrize("died", ["", "before the mark", "after the mark"])
def test_a_state_file_of_version_1_continues(lab: Any, died: str) -> None:
    """Also if its process died around writing the mark, which version 1 wrote into the existing file."""
    lab.live(lab.client(), 2)
    lab.end()
    with closing(sqlite3.connect(lab.path)) as connection, connection:
        connection.executescript(VERSION_1)
        if died:
            connection.execute("UPDATE file SET pending_token = ?, pending_since = 1", (b"%016d" % 1,))
    if died == "after the mark":
        lab.path.with_name("state.db.mark").write_bytes(b"%016d" % 1)
    client = lab.client()
    lab.live(client, 2)
    assert lab.silence(client) is None
    lab.assert_answered_once()
    assert len(lab.recorder.batches) == 4
    assert lab.rows("PRAGMA user_version") == [(2,)]


def test_a_state_file_of_a_newer_version_is_refused_and_left_unchanged(lab: Any) -> None:
    lab.client()
    lab.end()
    with closing(sqlite3.connect(lab.path)) as connection, connection:
        connection.execute("PRAGMA user_version = 3")
    before = lab.path.read_bytes()
    client = lab.client(agreed=False)
    assert client.status().silent == f"the state file {lab.path} was written by a newer version of hushtally"
    assert lab.path.read_bytes() == before
