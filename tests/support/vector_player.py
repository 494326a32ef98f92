"""Plays the steps of the vectors `device` and `delivery` on the shipped client, in a scripted world."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from email.message import Message
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from hushtally import Client, Fault, Survey
from hushtally.client_sdk.delivery import backoff
from hushtally.client_sdk.delivery.http_attempt import _retry_after
from hushtally.client_sdk.delivery.transport import MAX_RESPONSE_BYTES, NoResponse, Response
from hushtally.client_sdk.protocol.report import Batch
from hushtally.client_sdk.randomness import Randomness
from hushtally.client_sdk.state import outbox
from hushtally.client_sdk.testing import ScriptedClock, accepted

Answer = dict[str, Any] | None
LOST = ("expired", "refused: ", "rejected: ")  # counters of reports that are not sent again


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The Retry-After of an answer with these headers, in seconds."""
    message = Message()
    for name, value in headers.items():
        message[name] = value
    return _retry_after(message)


class ScriptedWords(Randomness):
    """The words of a vector, 16 hex digits each, in turn."""

    def __init__(self, words: Iterable[str]) -> None:
        self.left = list(words)

    def word(self) -> int:
        return int(self.left.pop(0), 16)


class Network:
    """A transport that gives the next answer to each request, and notes both.

    Without an answer that is left, every report counts.
    """

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.exchanges: list[dict[str, Any]] = []

    def request(
        self, method: str, url: str, body: bytes | None, timeout: float, max_bytes: int = MAX_RESPONSE_BYTES
    ) -> Response:
        assert (method, url, timeout) == ("POST", "https://tally.example/v1/reports", 10.0)
        assert body is not None
        answer = self.answers.pop(0) if self.answers else self.everything_counts(body)
        self.exchanges.append({"body": body.decode(), "answer": answer})
        if answer is None:
            raise NoResponse("the script gives no answer")
        return Response(answer["status"], answer["body"].encode()[:max_bytes], retry_after(answer["headers"]))

    @staticmethod
    def everything_counts(body: bytes) -> dict[str, Any]:
        return {"status": 200, "headers": {}, "body": accepted(body).body.decode()}


class Player:
    """The shipped client in a scripted world, for one survey."""

    def __init__(self, survey: Survey, cohort: dict[str, str], randomness: Randomness) -> None:
        self.survey = survey
        self.clock = ScriptedClock("2026-11-02T00:00:00Z")
        self.network = Network()
        self.faults: list[Fault] = []
        self.client = Client(
            survey,
            collector="https://tally.example",
            state=":memory:",
            cohort=cohort,
            clock=self.clock,
            randomness=randomness,
            transport=self.network,
            on_error=self.faults.append,
        )

    def at(self, moment: str) -> None:
        """Set the clock."""
        self.clock.now = datetime.fromisoformat(moment)

    def queue(self, body: str, due: str) -> None:
        """Put a batch into the outbox."""
        device, batch = self.client._device, Batch.decode(body.encode())
        assert device is not None
        last = min(self._accepted_until(report.epoch) for report in batch.reports)
        moment = datetime.fromisoformat(due).timestamp()
        row = outbox.Entry(device._id, batch.id, batch.digest, moment, last, batch.id, body.encode())
        with device._state.transaction() as connection:
            outbox.put_all(connection, [row])

    def _accepted_until(self, label: str) -> int:
        epoch = self.survey.epoch
        return epoch.end(epoch.next(epoch.first_day(label))).toordinal()

    def tick(self, answers: list[Answer]) -> list[dict[str, Any]]:
        """Tick, and return the requests with their answers."""
        self.network.answers, self.network.exchanges = list(answers), []
        self.client.tick()
        assert self.network.answers == [], "the script has more answers than the client sent requests"
        assert self.faults == []
        return self.network.exchanges

    def outcome(self) -> dict[str, Any]:
        """The batches that are left, and how many reports were delivered and lost so far."""
        device = self.client._device
        assert device is not None
        with device._state.lock() as connection:
            left = sorted(batch.decode() for batch in outbox.waiting(connection, device._id))
        counted = self.client.status().counters
        lost = sum(count for name, count in counted.items() if name.startswith(LOST))
        return {"left": left, "delivered": counted.get("delivered", 0), "lost": lost}


@contextmanager
def played(survey: Survey, cohort: dict[str, str], randomness: Randomness) -> Iterator[Player]:
    """A player that is closed at the end. The monotonic clock stands still, so that only the scripted clock counts."""
    with patch.object(backoff, "time", SimpleNamespace(monotonic=lambda: 0.0)):
        player = Player(survey, cohort, randomness)
        try:
            yield player
        finally:
            player.client.close()


def play_delivery(
    survey: Survey, randomness: Randomness, batches: list[dict[str, str]], ticks: list[tuple[str, list[Answer]]]
) -> list[dict[str, Any]]:
    """The ticks of a vector of delivery: at each moment, the requests, and what is left."""
    cohort = {name: values[0] for name, values in survey.cohorts.items()}
    steps = []
    with played(survey, cohort, randomness) as player:
        for batch in batches:
            player.queue(batch["body"], batch["due"])
        for moment, answers in ticks:
            player.at(moment)
            steps.append({"at": moment, "exchanges": player.tick(answers), **player.outcome()})
    return steps


def play_device(
    survey: Survey,
    cohort: dict[str, str],
    randomness: Randomness,
    steps: list[dict[str, Any]],
    answers_of: Callable[[dict[str, Any]], list[Answer]],
) -> list[dict[str, Any]]:
    """The steps of a vector of a device, with the requests of every tick. answers_of: the answers that a tick gets."""
    found = []
    with played(survey, cohort, randomness) as player:
        for step in steps:
            player.at(step["at"])
            if "record" in step:
                name, fields = step["record"]
                for _ in range(step.get("times", 1)):
                    player.client.record(name, **fields)
            if "consent" in step:
                changed = player.client.grant_consent() if step["consent"] else player.client.withdraw_consent()
                assert changed is True
            if "tick" in step:
                step = step | {"tick": player.tick(answers_of(step))}
            found.append(step)
    return found
