"""For tests of apps: a recorder instead of a network, and a clock and randomness that are scripted.

Where DO_NOT_TRACK or HUSHTALLY_DISABLED is set, clients are silent in tests, too: unset them there.

>>> from hushtally import Client, Survey
>>> from hushtally.testing import Recorder, ScriptedClock, SeededRandomness
>>> survey = Survey.parse('''
... id = "habits"
... version = 1
... title = "Habits"
... purpose = "To show how a test looks."
... owner = "tests@shop.example"
... starts = 2026-11-02
... ends = 2026-11-15
... privacy = { epsilon = 1.0 }
... signals.orders = { count = "purchase", days = 30 }
... questions = [{ id = "buys", segments = [{ id = "yes", when = "orders > 0" }, { id = "no" }] }]
... ''')
>>> clock, recorder = ScriptedClock("2026-11-02T09:00"), Recorder()
>>> client = Client(
...     survey, collector="https://tally.shop.example", state=":memory:",
...     clock=clock, randomness=SeededRandomness(1), transport=recorder,
... )
>>> client.grant_consent()
True
>>> client.record("purchase")
>>> client.tick()                    # the answer is made, and waits for its moment
>>> clock.advance(days=7)
>>> client.tick()                    # that lay within the week
>>> recorder.reports
[Report(question='buys', epoch='2026-W45', cohort={}, symbol=0)]
>>> recorder.assert_leaves_only("habits", survey.digest, "buys", "2026-W45")
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from hushtally.client_sdk.delivery.transport import MAX_RESPONSE_BYTES, Response
from hushtally.client_sdk.errors import BatchError
from hushtally.client_sdk.protocol.report import Batch, Report
from hushtally.client_sdk.randomness import Randomness


class Recorder:
    """A transport that keeps every request instead of sending it, and answers as told.

    answers: a Response or an OSError for each request in turn; the last one stays. Without any, every report counts,
    as with a collector that has the survey.
    """

    def __init__(self, *answers: Response | OSError) -> None:
        self.requests: list[tuple[str, str, bytes | None]] = []
        self._answers = list(answers)

    def request(
        self, method: str, url: str, body: bytes | None, timeout: float, max_bytes: int = MAX_RESPONSE_BYTES
    ) -> Response:
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
        """Raises AssertionError, showing all of the request, if anything left the device that is not among `allowed`.

        allowed: the texts that may leave, besides random batch ids: ids of surveys and questions, digests, epochs,
        and the names and values of cohorts. Numbers are symbols and versions; a batch has no place for others.
        """
        for method, url, body in self.requests:
            shown = f"{method} {url} {(body or b'').decode(errors='replace')}"
            try:
                batch = Batch.decode(body or b"")
            except BatchError as error:
                raise AssertionError(f"no batch of reports ({error}) would leave the device: {shown}") from None
            texts = {batch.survey, batch.digest}
            for report in batch.reports:
                texts |= {report.question, report.epoch, *report.cohort, *report.cohort.values()}
            strangers = sorted(texts - set(allowed))
            assert not strangers, f"{strangers} would leave the device: {shown}"
            assert url.endswith("/v1/reports"), f"to another place: {shown}"


def accepted(body: bytes | None) -> Response:
    """What a collector says that counts every report of a batch."""
    told = {"accepted": len(Batch.decode(body or b"").reports), "rejected": []}
    return Response(200, json.dumps(told).encode())


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
