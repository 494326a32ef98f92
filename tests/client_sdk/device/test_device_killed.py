"""A device that is killed at every step that touches the disk or the network, and continued by another process.

The script: 10 epochs, 5 questions, four changes of answer, one withdrawal with an answer in the outbox, and new
consent. It runs in a forked child that ends without any clean-up at its k-th step, for every k.
"""

import os
import random
import sqlite3
from collections import defaultdict
from contextlib import closing
from datetime import timedelta
from itertools import count

import pytest

from hushtally import Client
from hushtally.client_sdk.protocol.report import Batch
from hushtally.client_sdk.state import connection
from hushtally.client_sdk.state.rollback import RollbackGuard
from hushtally.client_sdk.testing import ScriptedClock, SeededRandomness
from kill_switch import Collector, KillSwitch, SteppedConnection, stepped

DAYS = 10
WITHDRAWN = 6
QUESTIONS = 5
CATEGORIES = ["c1", "c1", "c2", "c1", "c3", "c3", "c2", "c2", "c1", "c3"]


def script():
    """The day, the second and the action, in order."""
    for day in range(DAYS):
        if day in (0, WITHDRAWN + 1):
            yield day, 0, "grant"
        yield day, 0, "record"
        yield day, 1, "tick"
        if day == WITHDRAWN:
            yield day, 2, "withdraw"
        yield day, 86_399, "tick"
    yield DAYS - 1, 86_399, "close"


SCRIPT = list(script())


def live(survey, folder, kill_switch, seed, start):
    """Run the script from a position on. The interrupted action is repeated, as an app would do."""
    day, seconds, _ = SCRIPT[start]
    clock = ScriptedClock("2026-11-02T00:00:00")
    morning = clock.now
    clock.now = morning + timedelta(days=day, seconds=seconds)
    client = Client(
        survey,
        collector="https://tally.example",
        state=folder / "state.db",
        cohort={"platform": "web"},
        durable=survey.permanent,  # permanent answers depend on the recorded values
        clock=clock,
        randomness=SeededRandomness(seed),
        transport=Collector(folder / "received", kill_switch),
    )
    for position in range(start, len(SCRIPT)):
        day, seconds, action = SCRIPT[position]
        kill_switch.reach(position)
        clock.now = morning + timedelta(days=day, seconds=seconds)
        if action == "record":
            client.record("purchase", amount=day, category=CATEGORIES[day])
        else:
            getattr(client, {"grant": "grant_consent", "withdraw": "withdraw_consent"}.get(action, action))()


def child(survey, folder, kill_switch, seed, start, at):
    """Run the script in its own process; return the exit code."""
    kill_switch.begin(at)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            SteppedConnection.kill_switch = kill_switch
            connection.Connection = SteppedConnection
            for name in ("_create", "_replace"):
                setattr(RollbackGuard, name, stepped(getattr(RollbackGuard, name), kill_switch))
            live(survey, folder, kill_switch, seed, start)
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def check(survey, folder):
    """Check that ledger, outbox and answers agree with each other and with what the collector received."""
    bodies = (folder / "received").read_bytes().splitlines()
    batches = defaultdict(set)
    for body in bodies:
        batches[Batch.decode(body).id].add(body)
    assert all(len(sent) == 1 for sent in batches.values()), "a retry sent other bytes"
    reports = [report for (body,) in batches.values() for report in Batch.decode(body).reports]
    received = [(report.question, report.epoch, report.symbol) for report in reports]
    arrived = {(question, epoch) for question, epoch, _ in received}
    assert len(arrived) == len(received), "a second randomization left the device"
    days = [day for day in range(DAYS) if day < WITHDRAWN or (day > WITHDRAWN and not survey.permanent)]
    expected = {(f"q{index}", f"2026-11-{day + 2:02}") for index in range(QUESTIONS) for day in days}
    assert arrived == expected, "a report was lost"
    with closing(sqlite3.connect(folder / "state.db")) as database:
        ledger = database.execute("SELECT question, epoch, epsilon FROM ledger").fetchall()
        (waiting,) = database.execute("SELECT count(*) FROM outbox").fetchone()
        (answers,) = database.execute("SELECT count(*) FROM answers").fetchone()
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    charged = {(question, epoch) for question, epoch, _ in ledger if question}
    erased = {(f"q{index}", f"2026-11-{WITHDRAWN + 2:02}") for index in range(QUESTIONS)}
    assert charged == arrived | erased, "the ledger lacks an answer or has too many"
    assert (waiting, answers) == (0, 0)
    spent = sum(epsilon for _, _, epsilon in ledger)
    assert spent <= survey.lifetime_epsilon
    if survey.permanent:
        symbols = defaultdict(set)
        for question, epoch, symbol in received:
            symbols[question, CATEGORIES[int(epoch[-2:]) - 2]].add(symbol)
        assert all(len(drawn) == 1 for drawn in symbols.values()), "a permanent answer was drawn twice"
        assert spent == QUESTIONS * 3
    else:
        assert spent == QUESTIONS * DAYS


@pytest.fixture
def survey(lab, request):
    # with epsilon_permanent = epsilon a report is the permanent symbol itself, so that a second draw is visible
    return lab.survey(memory=request.param, questions=QUESTIONS, days=1, epsilon_permanent=1.0, ends="2026-11-14")


def kill_at(survey, folder, kill_switch, *steps):
    """Run the script; kill one process after another at these steps. Return how many processes were killed."""
    folder.mkdir()
    killed = start = 0
    for at in (*steps, 0):
        seed = 10**6 * killed + at
        if child(survey, folder, kill_switch, seed, start, at) == 0:
            break
        killed += 1
        start = kill_switch.position
    check(survey, folder)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    return killed


def kill_at_every(survey, shm, steps):
    """Run the script once for each step, until the script has fewer steps; return the number of runs."""
    return next(runs for runs, at in enumerate(steps) if not kill_at(survey, shm / "run", KillSwitch(), at))


@pytest.mark.parametrize("survey", ["fresh", pytest.param("permanent", marks=pytest.mark.slow)], indirect=True)
def test_killed_at_every_29th_step(survey, shm):
    assert kill_at_every(survey, shm, count(1, 29)) >= 17


@pytest.mark.slow
@pytest.mark.parametrize("survey", ["fresh", "permanent"], indirect=True)
def test_killed_at_every_step(survey, shm):
    assert kill_at_every(survey, shm, count(1)) >= 500


@pytest.mark.slow
@pytest.mark.parametrize("survey", ["fresh", "permanent"], indirect=True)
def test_killed_repeatedly(survey, shm):
    """Killed a few steps after every start, as by a watchdog: the script still ends."""
    source = random.Random(5)
    for _ in range(5):
        steps = [source.randrange(1, 120) for _ in range(15)]
        assert kill_at(survey, shm / "run", KillSwitch(), *steps) >= 5
