"""A whole life, killed at every step that touches the disk or the network, and resumed by another process.

The life: 10 epochs, 5 questions, four changes of answer, one withdrawal with an answer in the outbox, and consent
given again. It runs in a forked child that dies without any clean-up at its k-th step, for every k.
"""

import functools
import mmap
import os
import random
import sqlite3
import struct
from collections import defaultdict
from contextlib import closing
from datetime import timedelta
from itertools import count

import pytest

from hushtally import Client
from hushtally.client_sdk.protocol.report import Batch
from hushtally.client_sdk.state.rollback import RollbackGuard
from hushtally.client_sdk.testing import ScriptedClock, SeededRandomness, accepted

DAYS = 10
WITHDRAWN = 6
QUESTIONS = 5
CATEGORIES = ["c1", "c1", "c2", "c1", "c3", "c3", "c2", "c2", "c1", "c3"]
KILLED = 9


class Fate:
    """Counts the steps of a process and ends it at one of them; the count survives it."""

    def __init__(self):
        self._shared = mmap.mmap(-1, 16)

    def begin(self, at):
        self._shared[:8] = struct.pack("q", 0)
        self._at = at

    def step(self):
        (steps,) = struct.unpack("q", self._shared[:8])
        self._shared[:8] = struct.pack("q", steps + 1)
        if steps + 1 == self._at:
            os._exit(KILLED)

    def reach(self, place):
        self._shared[8:] = struct.pack("q", place)

    @property
    def place(self):
        return struct.unpack("q", self._shared[8:])[0]


class Mortal(sqlite3.Connection):
    """A connection each of whose statements may be the last."""

    fate: Fate

    def execute(self, *arguments):
        self.fate.step()
        return super().execute(*arguments)

    def executemany(self, *arguments):
        self.fate.step()
        return super().executemany(*arguments)


class Collector:
    """Takes batches into a file that outlives the process; it can die before it took one, and before it answers."""

    def __init__(self, path, fate):
        self._path = path
        self._fate = fate

    def request(self, method, url, body, timeout, *_):
        self._fate.step()
        with self._path.open("ab") as out:
            out.write(body + b"\n")
        self._fate.step()
        return accepted(body)


def script():
    """(day, seconds, what to do) in order."""
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


def live(survey, folder, fate, seed, start):
    """The life from a place in the script on; the interrupted action is done again, as an app would."""
    day, seconds, _ = SCRIPT[start]
    clock = ScriptedClock("2026-11-02T00:00:00")
    morning = clock.now
    clock.now = morning + timedelta(days=day, seconds=seconds)
    client = Client(
        survey,
        collector="https://tally.example",
        state=folder / "state.db",
        cohort={"platform": "web"},
        durable=survey.permanent,  # there the values must be known, not only the symbols
        clock=clock,
        randomness=SeededRandomness(seed),
        transport=Collector(folder / "received", fate),
    )
    for place in range(start, len(SCRIPT)):
        day, seconds, action = SCRIPT[place]
        fate.reach(place)
        clock.now = morning + timedelta(days=day, seconds=seconds)
        if action == "record":
            client.record("purchase", amount=day, category=CATEGORIES[day])
        else:
            getattr(client, {"grant": "grant_consent", "withdraw": "withdraw_consent"}.get(action, action))()


def child(survey, folder, fate, seed, start, at):
    """Runs the life in a process of its own; returns its exit code."""
    fate.begin(at)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            Mortal.fate = fate
            sqlite3.connect = functools.partial(sqlite3.connect, factory=Mortal)
            write = RollbackGuard._write

            def mortal_write(self, token):
                fate.step()
                written = write(self, token)
                fate.step()
                return written

            RollbackGuard._write = mortal_write
            live(survey, folder, fate, seed, start)
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def check(survey, folder):
    """Ledger, outbox and answers agree with each other and with what the collector received."""
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
    with closing(sqlite3.connect(folder / "state.db")) as connection:
        ledger = connection.execute("SELECT question, epoch, epsilon FROM ledger").fetchall()
        (waiting,) = connection.execute("SELECT count(*) FROM outbox").fetchone()
        (answers,) = connection.execute("SELECT count(*) FROM answers").fetchone()
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    charged = {(question, epoch) for question, epoch, _ in ledger if question}
    erased = {(f"q{index}", f"2026-11-{WITHDRAWN + 2:02}") for index in range(QUESTIONS)}
    assert charged == arrived | erased, "the ledger does not know all, or more than all"
    assert (waiting, answers) == (0, 0)
    spent = sum(epsilon for _, _, epsilon in ledger)
    assert spent <= survey.lifetime_epsilon
    if survey.permanent:
        symbols = defaultdict(set)
        for question, epoch, symbol in received:
            symbols[question, CATEGORIES[int(epoch[-2:]) - 2]].add(symbol)
        assert all(len(drawn) == 1 for drawn in symbols.values()), "a permanent answer was drawn anew"
        assert spent == QUESTIONS * 3
    else:
        assert spent == QUESTIONS * DAYS


@pytest.fixture
def survey(lab, request):
    # with epsilon_permanent = epsilon a report is the permanent symbol itself, so that a second one would be seen
    return lab.survey(memory=request.param, questions=QUESTIONS, days=1, epsilon_permanent=1.0, ends="2026-11-14")


def kill_at(survey, folder, fate, *steps):
    """One life, killed at each of these steps of one process after the other; how often it lived long enough."""
    folder.mkdir()
    killed = start = 0
    for at in (*steps, 0):
        seed = 10**6 * killed + at
        if child(survey, folder, fate, seed, start, at) == 0:
            break
        killed += 1
        start = fate.place
    check(survey, folder)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    return killed


def kill_at_every(survey, shm, steps):
    """Lives killed once, at each of `steps` until a life is shorter; how many."""
    return next(lives for lives, at in enumerate(steps) if not kill_at(survey, shm / "life", Fate(), at))


@pytest.mark.parametrize("survey", ["fresh", "permanent"], indirect=True)
def test_killed_at_every_29th_step(survey, shm):
    assert kill_at_every(survey, shm, count(1, 29)) >= 17


@pytest.mark.slow
@pytest.mark.parametrize("survey", ["fresh", "permanent"], indirect=True)
def test_killed_at_every_step(survey, shm):
    assert kill_at_every(survey, shm, count(1)) >= 500


@pytest.mark.parametrize("survey", ["fresh", "permanent"], indirect=True)
def test_killed_again_and_again(survey, shm):
    """Killed a few steps after every start, as by a watchdog: the life still comes to its end."""
    source = random.Random(5)
    for _ in range(5):
        steps = [source.randrange(1, 120) for _ in range(15)]
        assert kill_at(survey, shm / "life", Fate(), *steps) >= 5
