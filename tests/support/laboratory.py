"""Clients for tests, with one scripted clock, one recorder of their reports, and one state file."""

import sqlite3
from collections import defaultdict
from contextlib import closing
from datetime import date

from hushtally import Client, Survey
from hushtally.client_sdk.state.file import State
from hushtally.client_sdk.testing import Recorder, ScriptedClock, SeededRandomness
from survey_builder import FAVOURITE, ORDERS, SPENT, survey_text

PRIVACY_KEYS = {"epsilon": "epsilon", "questions_per_device": "each", "answers_every": "every"}


class Laboratory:
    """Creates surveys, and clients that share one clock, one recorder and one state file."""

    def __init__(self, folder):
        self.folder = folder
        self.path = folder / "state.db"
        self.clock = ScriptedClock("2026-11-02T00:00:00")
        self.recorder = Recorder()
        self.faults = []
        self.clients = []
        self._seed = 0

    def text(self, *, memory="fresh", epsilon_permanent=2.0, changes=2, questions=1, categories=3, **changed):
        """A survey in TOML that asks about the favourite category every day, from 2026-11-02 on.

        changed: `each` is questions_per_device, `every` is answers_every, and `days` is how far the signals look back.
        """
        values = {
            "starts": "2026-11-02",
            "ends": "2026-11-21",
            "epsilon": 1.0,
            "each": questions,
            "every": 1,
            "days": 5,
        }
        values |= changed
        privacy = {name: values.pop(key) for name, key in PRIVACY_KEYS.items()} | {"memory": memory}
        if memory == "permanent":
            privacy |= {"epsilon_permanent": epsilon_permanent, "changes": changes}
        days = values.pop("days")
        names = [f"c{index + 1}" for index in range(categories)]
        return survey_text(
            [{"id": f"q{index}", "one_of": "favourite", "categories": names} for index in range(questions)],
            starts=date.fromisoformat(str(values.pop("starts"))),
            ends=date.fromisoformat(str(values.pop("ends"))),
            privacy=privacy,
            signals={
                "orders": ORDERS | {"days": days},
                "spend": SPENT | {"days": days},
                "favourite": FAVOURITE | {"days": days},
            },
            purpose="To see what is bought.",
            owner="owner@shop.example",
            **{"retention_days": 30, "min_reports": 100, **values},
        )

    def survey(self, **changed):
        return Survey.parse(self.text(**changed))

    def client(self, surveys=None, *, seed=None, agreed=True, **options):
        """A client that adds its failures to `faults`; each client has its own seed unless `seed` is given."""
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
        """Pass epochs, with one tick at the start of each and one in its last second, when everything is due."""
        for _ in range(epochs):
            self.live_together([client])

    def live_together(self, clients):
        """Pass one epoch for several devices."""
        for seconds in (86_399, 1):
            for client in clients:
                client.tick()
            self.clock.advance(seconds=seconds)

    def connect(self):
        """A connection to the state file, for a test that damages it."""
        return sqlite3.connect(self.path)

    def rows(self, query, *values):
        """The rows that a query finds in the state file."""
        with closing(self.connect()) as connection:
            return connection.execute(query, values).fetchall()

    def on_disk(self):
        """The bytes of all files in the folder: the state file and the files beside it."""
        return b"".join(path.read_bytes() for path in self.folder.iterdir() if path.is_file())

    def silence(self, client):
        """Why the client's first survey is silent; None if it is not."""
        return client.status().surveys[0].silent

    def assert_answered_once(self):
        """Assert that the device sent at most one answer for each question and epoch."""
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
        """Simulate the end of the process, so that the next client opens the file again."""
        self.close()
        for state in list(State._open.values()):
            state.close()
        State._open.clear()
        State._verified.clear()
