"""A laboratory for devices: one survey in variations, a clock that is moved by hand, and a recorder for a network."""

import sqlite3
import tempfile
from collections import defaultdict
from contextlib import closing
from pathlib import Path

import pytest

from client_sdk.state import State
from client_sdk.testing import Recorder, ScriptedClock, SeededRandomness
from hushtally import Client, Survey

SURVEY = """
id = "{id}"
version = {version}
title = "Habits"
purpose = "To see what is bought."
owner = "owner@shop.example"
starts = {starts}
ends = {ends}
epoch = "day"
retention_days = 30
min_reports = 100
[privacy]
epsilon = {epsilon}
questions_per_device = {each}
answers_every = {every}
memory = "{memory}"
{permanent}
[cohorts]
platform = ["web", "ios"]
[signals]
orders = {{ count = "purchase", days = {days} }}
spend = {{ sum = "purchase.amount", days = {days} }}
favourite = {{ top = "purchase.category", days = {days} }}
{questions}
"""

PERMANENT = "epsilon_permanent = {0}\nchanges = {1}"
QUESTION = '[[questions]]\nid = "q{0}"\none_of = "favourite"\ncategories = {1}\n'


class Laboratory:
    """Makes surveys and clients over one clock, one recorder and one state file."""

    def __init__(self, folder):
        self.folder = folder
        self.path = folder / "state.db"
        self.clock = ScriptedClock("2026-11-02T00:00:00")
        self.recorder = Recorder()
        self.faults = []
        self.clients = []
        self._seed = 0

    def text(self, *, memory="fresh", epsilon_permanent=2.0, changes=2, questions=1, categories=3, **changed):
        """A survey in TOML: daily from 2026-11-02 on, one question about the favourite category."""
        values = {
            "id": "habits",
            "version": 1,
            "starts": "2026-11-02",
            "ends": "2026-11-21",
            "epsilon": 1.0,
            "each": questions,
            "every": 1,
            "days": 5,
            "memory": memory,
            "permanent": PERMANENT.format(epsilon_permanent, changes) if memory == "permanent" else "",
            **changed,
        }
        names = [f"c{index + 1}" for index in range(categories)]
        body = "".join(QUESTION.format(index, names) for index in range(questions))
        return SURVEY.format(questions=body, **values)

    def survey(self, **changed):
        return Survey.parse(self.text(**changed))

    def client(self, surveys=None, *, seed=None, agreed=True, **options):
        """A client whose failures would be seen in `faults`; every one has randomness of its own."""
        self._seed += 1
        options = {
            "collector": "https://tally.example",
            "state": self.path,
            "cohort": {"platform": "web"},
            "clock": self.clock,
            "randomness": SeededRandomness(self._seed if seed is None else seed),
            "transport": self.recorder,
            "on_error": self.faults.append,
            **options,
        }
        client = Client(surveys or self.survey(), **options)
        self.clients.append(client)
        if agreed:
            client.grant_consent()
        return client

    def live(self, client, epochs=1):
        """Passes epochs: a tick at the beginning and one in the last second, when everything is due."""
        for _ in range(epochs):
            self.live_together([client])

    def live_together(self, clients):
        """Passes an epoch for several devices."""
        for seconds in (86_399, 1):
            for client in clients:
                client.tick()
            self.clock.advance(seconds=seconds)

    def rows(self, query, *values):
        """Looks into the state file."""
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(query, values).fetchall()

    def on_disk(self):
        """All bytes of the state file, its log, its index and its mark."""
        return b"".join(path.read_bytes() for path in self.folder.iterdir() if path.is_file())

    def silence(self, client):
        """Why the client's first survey is silent, if it is."""
        return client.status().surveys[0].silent

    def assert_answered_once(self):
        """No question of an epoch left the device with two different answers."""
        symbols = defaultdict(set)
        for batch in self.recorder.batches:
            for report in batch.reports:
                symbols[report.question, report.epoch].add((batch.id, report.symbol))
        assert all(len(found) == 1 for found in symbols.values()), symbols

    def close(self):
        for client in self.clients:
            client.close()
        self.clients.clear()

    def end(self):
        """The end of the process: the next client opens the file anew."""
        self.close()
        for state in list(State._open.values()):
            state.close()
        State._open.clear()
        State._counted.clear()


@pytest.fixture
def shm(tmp_path):
    """A folder in memory where there is one: a device's file is synced often."""
    memory = Path("/dev/shm")
    if not memory.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory, prefix="hushtally-") as folder:
        yield Path(folder)


@pytest.fixture
def lab(shm):
    laboratory = Laboratory(shm)
    yield laboratory
    laboratory.close()
