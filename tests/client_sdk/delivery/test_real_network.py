"""Devices in many processes and a real collector, which is killed and restarted: every report counts exactly once."""

from __future__ import annotations

import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from hushtally import Survey, fetch_survey
from survey_builder import habits_text

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

ROOT = Path(__file__).parents[3]

DEVICES = """
import os, random, sys, threading, time
from datetime import datetime, timedelta, UTC
from hushtally import Client, fetch_survey

url, state, digest, processes, devices = *sys.argv[1:4], *map(int, sys.argv[4:])
survey = fetch_survey(url, "habits", 1, digest=digest)
ends = datetime.combine(survey.epoch.next(datetime.now(UTC).date()), datetime.min.time(), UTC)

clients = [Client(survey, collector=url, state=state, device=str(number), cohort={"platform": "web"},
                  clock=lambda: ends - timedelta(seconds=1)) for number in range(devices)]
for one in clients:
    one.grant_consent()
print("ready", flush=True)

def work(seed):
    for one in random.Random(seed).sample(clients, devices):
        one.record("purchase", amount=seed)
        one.tick()

for number in range(processes):
    if os.fork() == 0:
        threads = [threading.Thread(target=work, args=(8 * number + index,)) for index in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        left = clients
        until = time.monotonic() + 300
        while left and time.monotonic() < until:
            left = [one for one in left if not one.flush(5.0)]
        for one in clients:
            while one._device.journal.has_unwritten and time.monotonic() < until:
                one.status()  # writes what is in memory, and waits for the others longer than close may
            one.close()
        sys.exit(len(left))
sys.exit(sum(os.wait()[1] for _ in range(processes)))
"""

CALLS = ("tick", "flush", "status")

Start = Callable[[], subprocess.Popen[bytes]]


@pytest.fixture
def port() -> int:
    """A free port that no other test is given by the system: the collector is started at this port again and again."""
    for number in random.sample(range(20_000, 30_000), 100):
        with suppress(OSError), socket.create_server(("127.0.0.1", number)):
            return number
    raise AssertionError("no port is free")


@pytest.fixture
def collector(tmp_path: Path, port: int, live_survey: Survey) -> Iterator[Start]:
    """Starts the collector, always on the same port, and stops it in the end."""
    file = tmp_path / "survey.toml"
    text = habits_text(
        starts=live_survey.starts, days=(live_survey.ends - live_survey.starts).days + 1, epoch="month", questions=3
    )
    file.write_text(text)
    running: list[subprocess.Popen[bytes]] = []
    said = tmp_path / "collector.log"

    def start() -> subprocess.Popen[bytes]:
        code = "from hushtally.collector.serve_cli import serve; serve()"
        options = ["--port", str(port), "--database", str(tmp_path / "counts.db")]
        with said.open("ab") as log:
            running.append(
                subprocess.Popen(
                    [sys.executable, "-c", code, str(file), *options],
                    stderr=log,
                    env=os.environ | {"PYTHONPATH": str(ROOT)},
                )
            )
        until = time.monotonic() + 300  # hundreds of threads may share two cores
        while running[-1].poll() is None and time.monotonic() < until:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return running[-1]
            time.sleep(0.05)
        raise AssertionError(f"the collector did not start:\n{said.read_text()}")

    yield start
    for one in running:
        one.kill()
        one.wait()


def rows(path: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("processes", "devices", "kills"),
    [(6, 20, 2), pytest.param(50, 60, 4, marks=pytest.mark.slow)],
)
def test_every_report_counts_exactly_once_although_the_collector_is_killed(
    processes: int, devices: int, kills: int, collector: Start, port: int, live_survey: Survey, tmp_path: Path
) -> None:
    """Every process has 8 threads. The survey is fetched from the collector and pinned by its digest."""
    running = collector()
    url = f"http://127.0.0.1:{port}"
    assert fetch_survey(url, "habits", 1, digest=live_survey.digest) == live_survey
    arguments = [url, str(tmp_path / "state.db"), live_survey.digest, str(processes), str(devices)]
    with subprocess.Popen(
        [sys.executable, "-c", DEVICES, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        for _ in range(kills):
            time.sleep(0.4)
            running.send_signal(signal.SIGKILL)
            running.wait()
            time.sleep(0.2)
            running = collector()
        _, printed = process.communicate(timeout=600)
    # a call that waits too long for other processes reports a failure, and a later call does its work
    said = set(printed.decode().splitlines())
    assert (
        process.returncode,
        said - {f"{call} failed: another process is using the state file" for call in CALLS},
    ) == (0, set())
    running.terminate()
    running.wait(120)

    state = tmp_path / "state.db"
    answered = Counter(dict(rows(state, "SELECT question, count(*) FROM ledger GROUP BY question")))
    assert answered.total() == 3 * devices
    counted = rows(
        tmp_path / "counts.db",
        "SELECT question, sum(count) FROM counts JOIN cells USING (cell) GROUP BY question",
    )
    assert Counter(dict(counted)) == answered
    assert rows(state, "SELECT name, sum(count) FROM counters GROUP BY name") == [("delivered", 3 * devices)]
    assert rows(state, "SELECT count(*) FROM outbox") == [(0,)]
    assert rows(state, "SELECT count(*) FROM events") == [(8 * processes * devices,)]
