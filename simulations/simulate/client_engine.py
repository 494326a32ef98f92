"""A fleet: thousands of devices that run the real client, and a real collector that counts what they send."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import numpy as np
from flask.testing import FlaskClient

from hushtally.aggregator.database import Database
from hushtally.aggregator.errors import ArgumentError
from hushtally.aggregator.tally import Integers, Tally
from hushtally.client_sdk.client import Client
from hushtally.client_sdk.delivery.transport import MAX_RESPONSE_BYTES, Response, Transport
from hushtally.client_sdk.state.file import State
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.questions import Categories, Question
from hushtally.client_sdk.survey.signals import Function, Signal
from hushtally.client_sdk.testing import ScriptedClock, SeededRandomness
from hushtally.collector.app import create_app
from hushtally.simulations.errors import SimulationError
from hushtally.simulations.requirements import require_clients
from hushtally.simulations.simulate.scenario import Collected, Scenario, labels

EVENT = "simulated"
URL = "http://localhost"
MOST_DEVICES = 200_000
MEMORY = Path("/dev/shm")


def stand_in(survey: Survey) -> Survey:
    """The same survey about simulated answers: its mechanisms, schedule and memory, but every question asks for the
    segment that the device was told, by the number of the segment; the last is "other"."""

    def told(number: int, question: Question) -> Question:
        categories = tuple(map(str, range(len(question.segments) - 1)))
        return replace(question, form=Categories(f"s{number}", categories))

    questions = tuple(told(number, question) for number, question in enumerate(survey.asked))
    signals = {f"s{number}": Signal(Function.TOP, EVENT, f"s{number}", 1) for number in range(len(questions))}
    return replace(survey, questions=questions, signals=signals)


class InProcess:
    """A transport to a collector in the same process, through the whole of its web application."""

    def __init__(self, collector: FlaskClient) -> None:
        self._collector = collector
        self.accepted = 0
        self.refused = 0

    def request(
        self, method: str, url: str, body: bytes | None, timeout: float, max_bytes: int = MAX_RESPONSE_BYTES
    ) -> Response:
        """See Transport."""
        answer = self._collector.open(url.removeprefix(URL), method=method, data=body, content_type="application/json")
        if answer.status_code == 200:
            self.accepted += answer.get_json()["accepted"]
        else:
            self.refused += 1
        return Response(answer.status_code, answer.get_data())


def collect(
    survey: Survey, scenario: Scenario, seed: tuple[int, ...], progress: Callable[[], object] = lambda: None
) -> dict[tuple[str, int], Collected]:
    """What comes of every question in every epoch, by question id and step; equal seeds, equal results.

    Every device is a Client with its own ledger, memory and outbox in one state file, and a randomness that follows
    from the seed; what it sends goes through the collector's application into its database, which is then read as the
    aggregator reads it. progress is called `steps` times.
    """
    if scenario.devices > MOST_DEVICES:
        raise ArgumentError(
            "devices", f"must be at most {MOST_DEVICES:,} to run as real clients, got {scenario.devices:,}"
        )
    require_clients()
    clock = ScriptedClock(survey.starts.isoformat())
    told = stand_in(survey)
    with tempfile.TemporaryDirectory(prefix="hushtally-simulation-", dir=_place(scenario.devices)) as folder:
        database = Path(folder) / "hushtally.db"
        app = create_app([told], database, clock=lambda: clock.now.date())
        try:
            transport = InProcess(app.test_client())
            fleet = Fleet(told, scenario, seed, Path(folder) / "devices.db", clock, transport, progress)
            found: dict[tuple[str, int], Collected] = {}
            day = survey.starts
            for step, label in enumerate(labels(survey, scenario.epochs)):
                clock.now = datetime.combine(day, time(12), UTC)
                fleet.answer(step)
                day = survey.epoch.next(day)
                clock.now = datetime.combine(day, time(), UTC) - timedelta(seconds=1)
                fleet.send()
                found |= {(id, step): one for id, one in _tallied(told, database, label, clock.now.date()).items()}
        finally:
            app.extensions["hushtally"].close()
    _require_all_counted(fleet, transport, sum(one.n for one in found.values()))
    return found


def _require_all_counted(fleet: Fleet, transport: InProcess, counted: int) -> None:
    if fleet.faults or transport.refused or transport.accepted != counted:
        faults = ", ".join(sorted(set(fleet.faults))) or "none"
        raise SimulationError(
            f"faults of devices: {faults}; batches refused by the collector: {transport.refused:,}; reports accepted:"
            f" {transport.accepted:,}, counted: {counted:,}"
        )


def steps(scenario: Scenario) -> int:
    """How often `collect` reports progress: when a device comes and, every epoch, when it answers and when it sends."""
    return scenario.devices * (1 + 2 * scenario.epochs)


def _place(devices: int) -> str | None:
    """A place in memory, where there is one with room: simulated devices need not outlive a loss of power."""
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 10**8 + devices * 10**5:
        return str(MEMORY)
    return None


def _tallied(survey: Survey, database: Path, label: str, today: date) -> dict[str, Collected]:
    """Read when the epoch is over, as later on its counts may have been deleted."""
    with Database.open(database) as opened:
        tallies = opened.tallies(survey, today)
    found = {}
    for question in survey.asked:
        tally = Tally.merge(one for cell, one in tallies.items() if (cell.question, cell.epoch) == (question.id, label))
        found[question.id] = Collected.of(question.mechanism, tally)
    return found


class Fleet:
    """The devices of a scenario, place by place; None where the owner does not take part."""

    def __init__(
        self,
        survey: Survey,
        scenario: Scenario,
        seed: tuple[int, ...],
        state: Path,
        clock: ScriptedClock,
        transport: Transport,
        progress: Callable[[], object],
    ) -> None:
        self._survey = survey
        self._scenario = scenario
        self._clock = clock
        self._transport = transport
        self._progress = progress
        self._path = state
        self._state = State.at(state)  # held open, as all clients share it
        self._random = np.random.default_rng([*seed, 0])
        self._cohorts = survey.all_cohorts()
        self._made = 0
        self.faults: list[str] = []
        self._values = self._draw(0, scenario.devices)
        self._clients = [self._begin() for _ in range(scenario.devices)]

    def answer(self, step: int) -> None:
        """An epoch begins: devices go, come, withdraw and change; then every one that is there records and answers."""
        if step:
            self._pass_time(step)
        for client, values in zip(self._clients, self._values.tolist(), strict=True):
            if client is not None:
                client.record(EVENT, **{f"s{number}": str(value) for number, value in enumerate(values)})
                client.tick()
            self._progress()

    def send(self) -> None:
        """An epoch ends: every answer's time to be sent has come."""
        for client in self._clients:
            if client is not None:
                client.tick()
            self._progress()

    def _pass_time(self, step: int) -> None:
        scenario, places = self._scenario, self._scenario.devices
        gone = self._random.random(places) < scenario.turnover
        for place in np.flatnonzero(gone):
            self._clients[place] = self._arrive()
        for place in np.flatnonzero((self._random.random(places) < scenario.withdrawal) & ~gone):
            client = self._clients[place]
            if client is not None:
                client.withdraw_consent()
                self._clients[place] = None
        changed = (self._random.random(places) < scenario.change) & ~gone
        anew = gone | changed
        self._values[anew] = self._draw(step, int(anew.sum()))

    def _draw(self, step: int, devices: int) -> Integers:
        """The numbers of the segments of so many devices; int array of shape (devices, questions)."""
        columns = [
            self._random.choice(len(question.segments), size=devices, p=self._scenario.drawn(question, step))
            for question in self._survey.asked
        ]
        return np.array(columns).T

    def _begin(self) -> Client | None:
        self._progress()
        return self._arrive()

    def _arrive(self) -> Client | None:
        if self._random.random() >= self._scenario.participation:
            return None
        self._made += 1
        client = Client(
            self._survey,
            collector=URL,
            state=self._path,
            cohort=self._cohorts[self._random.integers(len(self._cohorts))],
            device=str(self._made),
            clock=self._clock,
            on_error=lambda fault: self.faults.append(f"{fault.during}: {fault.why}"),
            randomness=SeededRandomness(int(self._random.integers(2**63))),
            transport=self._transport,
        )
        client.grant_consent()
        return client
