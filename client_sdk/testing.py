"""For tests of apps: a recorder instead of a network, and a clock and randomness that are scripted."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from client_sdk.randomness import Randomness
from client_sdk.report import Batch, Report
from client_sdk.transport import LARGEST_ANSWER, Answer

ACCEPTED = Answer(200, b'{"accepted": 1, "rejected": []}')  # of a batch of one report


class Recorder:
    """A transport that keeps every request instead of sending it, and answers as told.

    answers: an Answer or an OSError for each request in turn; the last one stays. Without any, every report counts, as
    with a collector that has the survey.
    """

    def __init__(self, *answers: Answer | OSError) -> None:
        self.requests: list[tuple[str, str, bytes | None]] = []
        self._answers = list(answers)

    def request(self, method: str, url: str, body: bytes | None, timeout: float, most: int = LARGEST_ANSWER) -> Answer:
        """Keeps the request; see `Transport.request`."""
        self.requests.append((method, url, body))
        if not self._answers:
            return accepted(body)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, OSError):
            raise answer
        return answer

    @property
    def bodies(self) -> list[bytes]:
        """The bodies that would have left the device, in order."""
        return [body for _, _, body in self.requests if body is not None]

    @property
    def batches(self) -> list[Batch]:
        """The same, decoded."""
        return [Batch.decode(body) for body in self.bodies]

    @property
    def reports(self) -> list[Report]:
        """Every report of them, those of a repeated batch once."""
        return [report for batch in {batch.id: batch for batch in self.batches}.values() for report in batch.reports]

    def assert_leaves_only(self, *allowed: str) -> None:
        """Raises AssertionError, showing everything, if a text left the device that is not among `allowed`.

        allowed: the texts that may leave, besides random batch ids: ids of surveys and questions, digests, epochs,
        and the names and values of cohorts. Numbers are symbols and versions.
        """
        for body in self.bodies:
            table = json.loads(body)
            table.pop("batch")
            strangers = set(_texts(table)) - set(allowed) - _FIELDS
            assert not strangers, f"{sorted(strangers)} would leave the device in {body.decode()}"


def accepted(body: bytes | None) -> Answer:
    """What a collector says that counts every report of a batch."""
    told = {"accepted": len(Batch.decode(body or b"").reports), "rejected": []}
    return Answer(200, json.dumps(told).encode())


_FIELDS = {"survey", "version", "digest", "reports", "question", "epoch", "cohort", "symbol"}


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from (key, *_texts(one))
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, str):
        yield value


class ScriptedClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime | str) -> None:
        self.now = datetime.fromisoformat(now) if isinstance(now, str) else now
        if self.now.tzinfo is None:
            self.now = self.now.replace(tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, *, days: float = 0, hours: float = 0, seconds: float = 0) -> None:
        """Moves on (or back, with negative figures)."""
        self.now += timedelta(days=days, hours=hours, seconds=seconds)


class ScriptedRandomness(Randomness):
    """Gives the words it was given, in turn; IndexError when they are used up."""

    def __init__(self, words: Iterable[int]) -> None:
        self._words = list(words)

    def word(self) -> int:
        return self._words.pop(0)


class SeededRandomness(Randomness):
    """The same words for the same seed: for tests and simulations, never for a device."""

    def __init__(self, seed: int) -> None:
        self._source = random.Random(seed)

    def word(self) -> int:
        return self._source.getrandbits(64)
