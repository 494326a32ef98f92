"""The async client: the same methods, and an event loop that never waits for a disk, a lock or a collector."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hushtally import AsyncClient, Client, ClientError, Survey
from hushtally.client_sdk.async_client import WorkerThread
from hushtally.client_sdk.client import Options
from hushtally.client_sdk.delivery import sender
from hushtally.client_sdk.delivery.http import HttpTransport
from hushtally.client_sdk.testing import Recorder, ScriptedClock
from survey_builder import habits_text

ROOT = Path(__file__).parents[2]
MUST_END = 120.0  # seconds, on a machine however slow


@pytest.fixture
def options(tmp_path: Path) -> Any:
    """The arguments of every client here; late in the day, so that answers are sent at once."""
    return {
        "collector": "https://tally.example",
        "state": tmp_path / "state.db",
        "cohort": {"platform": "web"},
        "clock": ScriptedClock(datetime(2026, 11, 2, 23, 59, 59, tzinfo=UTC)),
    }


def test_the_methods_and_arguments_are_those_of_the_client() -> None:
    names = {name for name, _ in inspect.getmembers(Client, inspect.isfunction) if not name.startswith("_")}
    async_names = {name for name, _ in inspect.getmembers(AsyncClient, inspect.isroutine) if not name.startswith("_")}
    assert async_names == names | {"open"}
    for name in names:
        assert list(inspect.signature(getattr(AsyncClient, name)).parameters.values()) == list(
            inspect.signature(getattr(Client, name)).parameters.values()
        ), name
    parameters = list(inspect.signature(Client).parameters.values())
    keywords = {one.name for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY}
    assert keywords == Options.__annotations__.keys()


def test_all_methods(survey: Survey, options: Any) -> None:
    recorder = Recorder()

    async def live() -> None:
        async with await AsyncClient.open(survey, **options, transport=recorder) as client:
            await client.record("purchase", amount=5)
            assert (await client.status()).surveys[0].consent is False
            await client.grant_consent()
            await client.record("purchase", amount=5)
            await client.tick()
            assert await client.flush(MUST_END)
            assert len(await client.receipts()) == 1
            assert "Habits" in str(await client.explain())
            assert (await client.status()).counters == {"delivered": 1}
            await client.withdraw_consent()
            client.start()
        await client.close()
        assert (await client.status()).silent == "the client was closed"

    asyncio.run(live())
    assert len(recorder.requests) == 1


def test_invalid_arguments_raise(survey: Survey, options: Any) -> None:
    async def live() -> None:
        with pytest.raises(ClientError, match="plain http"):
            await AsyncClient.open(survey, **(options | {"collector": "http://tally.example"}))
        for given in ({}, options):
            with pytest.raises(
                ClientError, match=r"^create an AsyncClient with `await AsyncClient\.open\(surveys, \.\.\.\)`$"
            ):
                AsyncClient(survey, **given)
        client = await AsyncClient.open(survey, **options, strict=True)
        with pytest.raises(ClientError, match="not in any survey"):
            await client.record("browse")
        await client.close()

    asyncio.run(live())


def test_the_loop_does_not_wait_for_a_collector_that_hangs(
    survey: Survey, options: Any, serve: Any, answer_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a tick and flushes hang for a minute, events are recorded, the app's own threads are free, and other
    flushes end in time."""
    monkeypatch.setattr(sender, "TRY_SECONDS", 60.0)
    answers = threading.Event()

    def hang(connection: Any, _: bytes) -> None:
        answers.wait(60)
        connection.sendall(answer_of(b'{"accepted": 1, "rejected": []}'))

    server = serve(hang)

    async def live() -> None:
        given = options | {"collector": server.url}
        client = await AsyncClient.open(survey, **given, transport=HttpTransport())
        await client.grant_consent()
        hanging = [asyncio.ensure_future(one) for one in (client.tick(60.0), *(client.flush(60.0) for _ in range(50)))]
        for number in range(200):
            await client.record("purchase", amount=number)
        await asyncio.to_thread(lambda: None)
        assert await asyncio.gather(*(client.flush(0.5) for _ in range(50))) == [False] * 50
        assert (await client.status()).waiting == 1
        assert not any(one.done() for one in hanging)
        answers.set()
        assert await asyncio.gather(*hanging) == [None] + [True] * 50
        assert len(server.requests) == 1
        await client.close()

    asyncio.run(asyncio.wait_for(live(), MUST_END))


def test_the_loop_does_not_wait_for_a_locked_file(
    survey: Survey, options: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hushtally.client_sdk.state.file.BRIEF_SECONDS", 60.0)

    async def live() -> None:
        client = await AsyncClient.open(survey, **options, durable=True, transport=Recorder())
        await client.grant_consent()
        with closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            recording = [asyncio.ensure_future(client.record("purchase", amount=n)) for n in range(5)]
            await asyncio.sleep(0.5)
            assert not any(one.done() for one in recording)
            other.execute("ROLLBACK")
        await asyncio.gather(*recording)
        await client.close()

    asyncio.run(live())
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        events = [fields for (fields,) in connection.execute("SELECT fields FROM events ORDER BY id")]
    assert [f'"amount": {n}' in fields for n, fields in enumerate(events)] == [True] * 5


def test_calls_keep_their_order(survey: Survey, options: Any, tmp_path: Path) -> None:
    async def live() -> None:
        client = await AsyncClient.open(survey, **options, transport=Recorder())
        agreed = asyncio.ensure_future(client.grant_consent())
        recorded = [asyncio.ensure_future(client.record("purchase", amount=n)) for n in range(300)]
        await asyncio.gather(agreed, *recorded)
        await client.close()

    asyncio.run(live())
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        fields = [one for (one,) in connection.execute("SELECT fields FROM events ORDER BY id")]
    assert len(fields) == 300
    assert [int(re.findall(r"\d+", one)[0]) for one in fields] == list(range(300))


def test_a_cancelled_call_still_runs(survey: Survey, options: Any) -> None:
    async def live() -> None:
        client = await AsyncClient.open(survey, **options, transport=Recorder())
        granting = asyncio.ensure_future(client.grant_consent())
        await asyncio.sleep(0)
        granting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await granting
        assert (await client.status()).surveys[0].consent
        await client.close()

    asyncio.run(live())


def test_a_worker_thread_survives_exceptions_and_the_end_of_a_loop() -> None:
    worker, may_end = WorkerThread(), threading.Event()

    async def fail() -> None:
        with pytest.raises(ZeroDivisionError):
            await worker.run(lambda: 1 // 0)
        with pytest.raises(pytest.fail.Exception):  # not an Exception, for example from a test that fails in on_error
            await worker.run(lambda: pytest.fail("failed"))
        assert await worker.run(lambda: 7) == 7

    async def leave() -> None:
        waiting = asyncio.ensure_future(worker.run(lambda: may_end.wait(MUST_END)))
        await asyncio.sleep(0.05)
        waiting.cancel()

    asyncio.run(fail())
    asyncio.run(leave())
    may_end.set()
    asyncio.run(fail())
    worker.end()


def test_without_a_thread_the_call_runs_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the system has no thread left, no call fails."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert asyncio.run(WorkerThread().run(lambda: 7)) == 7


def test_the_loop_ends_at_once_while_a_collector_hangs(tmp_path: Path, serve: Any) -> None:
    """asyncio.run waits for its executor, and the interpreter for its threads. The client delays neither."""
    server = serve(lambda connection, _: connection.recv(1))
    file = tmp_path / "survey.toml"
    file.write_text(habits_text())
    script = f"""
import asyncio, threading, time
from datetime import datetime, UTC
from hushtally.client_sdk.delivery import sender as delivery
from hushtally import AsyncClient, Client, Survey
delivery.TRY_SECONDS = 3_600.0
Client.tick.__defaults__ = (3_600.0,)

async def live():
    client = await AsyncClient.open(
        Survey.load({str(file)!r}), collector={server.url!r}, state={str(tmp_path / "s.db")!r},
        cohort={{"platform": "web"}}, clock=lambda: datetime(2026, 11, 2, 23, 59, 59, tzinfo=UTC),
    )
    await client.grant_consent()
    client.start()
    asyncio.ensure_future(client.tick())
    while "hushtally-request" not in [thread.name for thread in threading.enumerate()]:
        await asyncio.sleep(0.01)

asyncio.run(live())
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=MUST_END,  # a request takes an hour
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_its_types_are_strict_for_an_app(tmp_path: Path) -> None:
    """mypy --strict accepts correct calls of an app, and reports wrong ones."""
    right = tmp_path / "right.py"
    right.write_text(
        """
import asyncio
from hushtally import AsyncClient, Client, Fault, Receipt, Status, Survey, fetch_survey
from hushtally.client_sdk.testing import Recorder, ScriptedClock

def report(fault: Fault) -> None:
    print(fault.during, fault.kind)

async def live(survey: Survey) -> bool:
    async with await AsyncClient.open(
        [survey], collector="https://x.example", state="s.db", cohort={"a": "b"}, on_error=report, durable=True
    ) as client:
        await client.record("purchase", amount=1.5, category="books")
        status: Status = await client.status()
        receipts: tuple[Receipt, ...] = await client.receipts()
        print(status.waiting, len(receipts))
        return await client.flush(1.0)

def test_app(survey: Survey) -> None:
    recorder = Recorder()
    with Client(survey, collector="https://x.example", state=":memory:", clock=ScriptedClock("2026-11-02"),
                transport=recorder) as client:
        client.tick(1.0)
    recorder.assert_leaves_only("habits")

asyncio.run(live(fetch_survey("https://x.example", "habits", 1, digest="0")))
"""
    )
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        """
from hushtally import AsyncClient, Survey

async def live(survey: Survey) -> None:
    await AsyncClient.open(survey, collector="https://x.example")
    await AsyncClient.open(survey, collector="https://x.example", state="s", cohorts={})
    client = await AsyncClient.open(survey, collector="https://x.example", state="s")
    await client.record("purchase", amount=None)
    client.explain().as_dict()
    AsyncClient(survey, collector="https://x.example", state="s")
"""
    )
    checked = {}
    for file in (right, wrong):
        done = subprocess.run(
            [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), str(file)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=os.environ | {"MYPYPATH": str(ROOT)},
        )
        checked[file.stem] = [line for line in done.stdout.splitlines() if "error:" in line]
    assert checked["right"] == []
    assert {line.split(":")[1] for line in checked["wrong"]} == {"5", "6", "8", "9", "10"}
