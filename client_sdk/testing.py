"""Replacements for the tests of an app: a recorder for the network, a scripted clock, and scripted randomness.

If DO_NOT_TRACK or HUSHTALLY_DISABLED is set in the environment, clients are silent in tests, too. Unset them there.

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
>>> client.tick()                    # makes the answer, which waits for a random moment of its week
>>> clock.advance(days=7)
>>> client.tick()                    # sends it: the week is over
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
    """A transport that records every request and sends nothing.

    Args:
        answers: What to answer to each request in turn: a Response, or an OSError to raise. The last one is repeated.
            By default every report counts.

    Attributes:
        requests: The method, the URL and the body of every request, in order.
    """

    def __init__(self, *answers: Response | OSError) -> None:
        self.requests: list[tuple[str, str, bytes | None]] = []
        self._answers = list(answers)

    def request(
        self, method: str, url: str, body: bytes | None, timeout: float, max_bytes: int = MAX_RESPONSE_BYTES
    ) -> Response:
        """Record the request; see `Transport.request`."""
        self.requests.append((method, url, body))
        if not self._answers:
            return accepted(body)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, OSError):
            raise answer
        return answer

    @property
    def bodies(self) -> list[bytes]:
        """The bodies of all requests, in order."""
        return [body for _, _, body in self.requests if body is not None]

    @property
    def batches(self) -> list[Batch]:
        """The batches of all requests, in order; a retry repeats its batch."""
        return [Batch.decode(body) for body in self.bodies]

    @property
    def reports(self) -> list[Report]:
        """The reports of all batches, those of a repeated batch once."""
        return [report for batch in {batch.id: batch for batch in self.batches}.values() for report in batch.reports]

    def assert_leaves_only(self, *allowed: str) -> None:
        """Raise AssertionError, with the whole request, if a string left the device that is not among `allowed`.

        Args:
            allowed: The ids of surveys and questions, digests, epochs, and names and values of cohorts that may leave.
                The random id of a batch is always allowed. The only numbers in a batch are symbols and versions.
        """
        for method, url, body in self.requests:
            shown = f"{method} {url} {(body or b'').decode(errors='replace')}"
            try:
                batch = Batch.decode(body or b"")
            except BatchError as error:
                raise AssertionError(
                    f"a request that is not a batch of reports would leave the device ({error}): {shown}"
                ) from None
            strings = {batch.survey, batch.digest}
            for report in batch.reports:
                strings |= {report.question, report.epoch, *report.cohort, *report.cohort.values()}
            unexpected = sorted(strings - set(allowed))
            assert not unexpected, f"{unexpected} would leave the device: {shown}"
            assert url.endswith("/v1/reports"), f"a batch would be sent to another URL: {shown}"


def accepted(body: bytes | None) -> Response:
    """Return the answer of a collector that counts every report of a batch."""
    answer = {"accepted": len(Batch.decode(body or b"").reports), "rejected": []}
    return Response(200, json.dumps(answer).encode())


class ScriptedClock:
    """A clock that moves only when it is told to.

    Args:
        now: The first time that it returns; a string is ISO 8601. Without a time zone it is UTC.

    Attributes:
        now: The time that it returns, in UTC. Set it to move the clock; without a time zone it is UTC.
    """

    def __init__(self, now: datetime | str) -> None:
        self.now = datetime.fromisoformat(now) if isinstance(now, str) else now

    @property
    def now(self) -> datetime:
        return self._now

    @now.setter
    def now(self, now: datetime) -> None:
        self._now = now.replace(tzinfo=UTC) if now.utcoffset() is None else now.astimezone(UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, *, days: float = 0, hours: float = 0, seconds: float = 0) -> None:
        """Move the clock forward, or back with negative numbers."""
        self.now += timedelta(days=days, hours=hours, seconds=seconds)


class ScriptedRandomness(Randomness):
    """Returns the given 64-bit words in turn. Raises IndexError when no word is left."""

    def __init__(self, words: Iterable[int]) -> None:
        self._words = list(words)

    def word(self) -> int:
        return self._words.pop(0)


class SeededRandomness(Randomness):
    """Returns the same words for the same seed. For tests and simulations, never for a device."""

    def __init__(self, seed: int) -> None:
        self._source = random.Random(seed)

    def word(self) -> int:
        return self._source.getrandbits(64)
