"""A gateway that is killed at every step that touches the disk or the network, and continued by another process.

The script: 50 devices agree, ticks of three epochs, and one customer withdraws between them. It runs in a forked child
that ends without any clean-up at its k-th step, for every k.
"""

import os
import random
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import timedelta
from itertools import count

import pytest

from hushtally import Gateway
from hushtally.client_sdk.protocol.report import Batch
from hushtally.client_sdk.state import connection
from hushtally.client_sdk.state.rollback import RollbackGuard
from hushtally.client_sdk.testing import ScriptedClock, SeededRandomness
from kill_switch import KILLED, Collector, KillSwitch, SteppedConnection, stepped

DEVICES = 50
DAYS = 3
WITHDRAWN = 7
SCRIPT = [
    (0, 0, "agree"),
    *((day, second, "tick") for day in range(DAYS) for second in (1, 40_000, 86_398)),
    (DAYS - 1, 86_398, "tick"),
    (DAYS - 1, 86_398, "close"),
]
SCRIPT.insert(4, (1, 0, "withdraw"))


def live(survey, folder, kill_switch, seed, start, at):
    """Run the script from a position on. The interrupted action is repeated, as an app would do.

    at: the step at which the process ends. The steps of consent do not count: consents are stored one by one.
    """
    clock = ScriptedClock("2026-11-02T00:00:00")
    morning = clock.now
    gateway = Gateway(
        survey,
        collector="https://tally.example",
        state=folder / "state.db",
        clock=clock,
        randomness=SeededRandomness(seed),
        transport=Collector(folder / "received", kill_switch),
    )
    for position in range(start, len(SCRIPT)):
        day, seconds, action = SCRIPT[position]
        kill_switch.reach(position)
        clock.now = morning + timedelta(days=day, seconds=seconds)
        if action == "agree":
            for number in range(DEVICES):
                gateway.device(str(number), {"platform": "web"}).grant_consent()
            kill_switch.begin(at)
        elif action == "withdraw":
            gateway.device(str(WITHDRAWN)).withdraw_consent()
        else:
            getattr(gateway, action)()


def child(survey, folder, kill_switch, seed, start, at):
    """Run the script in its own process; return the exit code."""
    kill_switch.begin(at if start else 0)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            SteppedConnection.kill_switch = kill_switch
            connection.Connection = SteppedConnection
            for name in ("_create", "_replace"):
                setattr(RollbackGuard, name, stepped(getattr(RollbackGuard, name), kill_switch))
            live(survey, folder, kill_switch, seed, start, at)
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def check(survey, folder):
    """Check that nothing was answered twice or lost, and that the ledger has every answer once."""
    batches = {}
    for body in (folder / "received").read_bytes().splitlines():
        assert batches.setdefault(Batch.decode(body).id, body) == body, "a retry sent other bytes"
    arrived = Counter(report.epoch for body in batches.values() for report in Batch.decode(body).reports)
    epochs = [f"2026-11-0{day + 2}" for day in range(DAYS)]
    assert arrived == {epoch: DEVICES if epoch == epochs[0] else DEVICES - 1 for epoch in epochs}
    with closing(sqlite3.connect(folder / "state.db")) as state:
        ledger = state.execute("SELECT device, epoch, sum(epsilon) FROM ledger GROUP BY device, epoch").fetchall()
        left = [state.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("outbox", "mixes")]
        counters = dict(state.execute("SELECT name, sum(count) FROM counters GROUP BY name").fetchall())
        assert state.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert Counter(epoch for _, epoch, _ in ledger) == arrived
    assert {epsilon for _, _, epsilon in ledger} == {1.0}
    assert left == [0, 0]
    assert counters == {"delivered": DAYS * (DEVICES - 1)}  # the counters of the customer who withdrew are erased


@pytest.fixture
def survey(lab):
    return lab.survey(days=1, ends="2026-11-14")


def kill_at(survey, folder, *steps):
    """Run the script; kill one process after another at these steps. Return how many processes were killed."""
    folder.mkdir()
    kill_switch, killed, start = KillSwitch(), 0, 0
    for at in (*steps, 0):
        code = child(survey, folder, kill_switch, 10**6 * killed + at, start, at)
        if code == 0:
            break
        assert code == KILLED
        killed += 1
        start = kill_switch.position
    check(survey, folder)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    return killed


def kill_at_every(survey, shm, steps):
    """Run the script once for each step, until the script has fewer steps; return the number of runs."""
    return next(runs for runs, at in enumerate(steps) if not kill_at(survey, shm / "run", at))


def test_killed_at_every_29th_step(survey, shm):
    assert kill_at_every(survey, shm, count(1, 29)) >= 8


@pytest.mark.slow
def test_killed_at_every_step(survey, shm):
    assert kill_at_every(survey, shm, count(1)) >= 250


def test_killed_repeatedly(survey, shm):
    """Killed some steps after every start, as by a watchdog: the script still ends."""
    source = random.Random(6)
    for _ in range(3):
        steps = [source.randrange(1, 120) for _ in range(8)]
        assert kill_at(survey, shm / "run", *steps) >= 1
