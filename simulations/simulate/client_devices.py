"""Simulated devices that run the real client."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from flask.testing import FlaskClient

from hushtally.aggregator.tally import Integers
from hushtally.client_sdk.client import Client
from hushtally.client_sdk.delivery.transport import MAX_RESPONSE_BYTES, Response, Transport
from hushtally.client_sdk.state.file import State
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.testing import ScriptedClock, SeededRandomness
from hushtally.simulations.preset_answers import EVENT
from hushtally.simulations.simulate.scenario import Scenario

URL = "http://localhost"


def signal_name(question: int) -> str:
    """Return the name of the signal and of the event's field that contain the segment of a question."""
    return f"s{question}"


class InProcessTransport:
    """A transport to the complete web application of a collector in the same process."""

    def __init__(self, collector: FlaskClient) -> None:
        self._collector = collector
        self.accepted = 0  # reports
        self.refused = 0  # batches

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


class ClientDevices:
    """The devices of a scenario, by index: a client, or None if the owner does not take part.

    faults: the faults that the clients reported.
    """

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
        self._state = State.at(state)  # stays open, because all clients share it
        self._random = np.random.default_rng([*seed, 0])
        self._cohorts = survey.all_cohorts()
        self._created = 0
        self.faults: list[str] = []
        self._values = self._draw_values(0, scenario.devices)
        self._clients = [self._first_client() for _ in range(scenario.devices)]

    def answer(self, step: int) -> None:
        """Begin an epoch: replace, withdraw and change devices. Then let each client record its segments and answer."""
        if step:
            self._pass_time(step)
        for client, values in zip(self._clients, self._values.tolist(), strict=True):
            if client is not None:
                client.record(EVENT, **{signal_name(number): str(value) for number, value in enumerate(values)})
                client.tick()
            self._progress()

    def send(self) -> None:
        """End an epoch: let every client send its reports, whose random delay is over."""
        for client in self._clients:
            if client is not None:
                client.tick()
            self._progress()

    def _pass_time(self, step: int) -> None:
        scenario, devices = self._scenario, self._scenario.devices
        replaced = self._random.random(devices) < scenario.turnover
        for index in np.flatnonzero(replaced):
            self._clients[index] = self._new_client()
        for index in np.flatnonzero((self._random.random(devices) < scenario.withdrawal) & ~replaced):
            client = self._clients[index]
            if client is not None:
                client.withdraw_consent()
                self._clients[index] = None
        changed = (self._random.random(devices) < scenario.change) & ~replaced
        redrawn = replaced | changed
        self._values[redrawn] = self._draw_values(step, int(redrawn.sum()))

    def _draw_values(self, step: int, devices: int) -> Integers:
        """Draw the numbers of the segments of new devices: an int array of shape (devices, questions)."""
        columns = [
            self._random.choice(len(question.segments), size=devices, p=self._scenario.drawn_shares(question, step))
            for question in self._survey.asked
        ]
        return np.array(columns).T

    def _first_client(self) -> Client | None:
        self._progress()
        return self._new_client()

    def _new_client(self) -> Client | None:
        """Create a client with consent; None if the owner of the device does not take part."""
        if self._random.random() >= self._scenario.participation:
            return None
        self._created += 1
        client = Client(
            self._survey,
            collector=URL,
            state=self._path,
            cohort=self._cohorts[self._random.integers(len(self._cohorts))],
            device=str(self._created),
            clock=self._clock,
            on_error=lambda fault: self.faults.append(f"{fault.during}: {fault.why}"),
            randomness=SeededRandomness(int(self._random.integers(2**63))),
            transport=self._transport,
        )
        client.grant_consent()
        return client
