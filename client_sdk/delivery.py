"""Delivery: when a batch is sent, and what is done about the collector's answer."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Iterable
from datetime import datetime

from client_sdk import outbox
from client_sdk.backoff import Backoff
from client_sdk.forking import Forking
from client_sdk.outbox import Waiting
from client_sdk.randomness import Randomness
from client_sdk.report import Batch
from client_sdk.state import State, count
from client_sdk.survey import Survey
from client_sdk.transport import Answer, HttpTransport, Transport
from client_sdk.verdict import BUSY, Verdict, judge

logger = logging.getLogger("hushtally")

TRY_SECONDS = 10.0  # the longest that one request may take

# by address, those that failed last: one that hangs must not cost every device of a kiosk a try
_failing: dict[str, Backoff] = {}


class Delivery(Forking):
    """Sends one device's batches; a retry sends the same bytes."""

    def __init__(
        self,
        state: State,
        device: int,
        surveys: Iterable[Survey],
        collector: str,
        transport: Transport,
        randomness: Randomness,
    ) -> None:
        self._state = state
        self._device = device
        self._surveys = {survey.digest: survey for survey in surveys}
        self._url = f"{collector}/v1/reports"
        self._transport = transport
        self._randomness = randomness
        self._shared = _failing if isinstance(transport, HttpTransport) else {}
        self._own = Backoff()
        self._sending = threading.Lock()
        super().__init__()

    def send(self, now: datetime, seconds: float, *, wait: bool = False) -> bool:
        """Sends the batches whose time has come, within `seconds` in all; whether none of them is left.

        Leaves a collector alone that lately failed, or with `wait` tries it again as soon as it may be tried.
        """
        deadline = time.monotonic() + seconds
        if not self._due(now):
            return True
        if not self._sending.acquire(timeout=max(seconds, 0.0) if wait else 0):
            return False  # another thread is at it
        try:
            while True:
                shared = self._shared.get(self._url, self._own)
                pause = max(shared.remaining(now), self._own.remaining(now))
                if pause > 0:
                    if not wait or pause > deadline - time.monotonic():
                        return False
                    time.sleep(pause)
                if self._send_all(now, deadline):
                    return not self._due(now)
                if not wait or time.monotonic() >= deadline:
                    return False
        finally:
            self._sending.release()

    def _due(self, now: datetime) -> list[Waiting]:
        with self._state.lock() as connection:
            return outbox.due(connection, self._device, now)

    def after_fork(self) -> None:
        self._sending = threading.Lock()

    def _send_all(self, now: datetime, deadline: float) -> bool:
        """Tries every batch once, unless the collector is out of reach; whether all were settled."""
        due = self._due(now)
        expired = [one for one in due if one.expired]
        if expired:
            with self._state.transaction() as connection:
                outbox.drop(connection, self._device, expired)
        self._state.mark()
        untaken: list[Answer] = []
        for waiting in due:
            if waiting.expired:
                continue
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            with self._state.lock() as connection:
                if not outbox.holds(connection, self._device, waiting.batch):
                    continue  # consent was withdrawn meanwhile, or another process delivered it
            try:
                answer = self._transport.request("POST", self._url, waiting.body, min(left, TRY_SECONDS))
            except OSError as error:
                logger.info("the collector cannot be reached: %s", type(error).__name__)
                self._unreachable(now, None)
                return False
            if answer.status in BUSY:
                logger.info("the collector asks for time: %d", answer.status)
                self._unreachable(now, answer.retry_after)
                return False
            self._shared.pop(self._url, None)
            if not self._settle(waiting, answer, now):
                untaken.append(answer)
        if untaken:
            self._own.failed(now, self._randomness, untaken[-1].retry_after)
        else:
            self._own.succeeded()
        return not untaken

    def _unreachable(self, now: datetime, retry_after: float | None) -> None:
        self._shared.setdefault(self._url, Backoff()).failed(now, self._randomness, retry_after)

    def _settle(self, waiting: Waiting, answer: Answer, now: datetime) -> bool:
        """Acts on an answer; False when the batch is to be tried again, which keeps no other from being sent."""
        batch = Batch.decode(waiting.body)
        verdict = judge(answer, batch)
        if verdict is None:
            logger.info("the collector did not take a batch: %d", answer.status)
            return False
        with self._state.transaction() as connection:
            if outbox.remove(connection, self._device, waiting.batch):
                self._account(connection, batch, verdict, now)
        return True

    def _account(self, connection: sqlite3.Connection, batch: Batch, verdict: Verdict, now: datetime) -> None:
        """Counts what became of the reports; those that may be accepted later go out again, symbols unchanged."""
        if verdict.delivered:
            count(connection, self._device, "delivered", verdict.delivered)
        for reason, number in verdict.lost.items():
            count(connection, self._device, reason, number)
        survey = self._surveys.get(batch.digest)
        if verdict.again and survey is not None:
            due = outbox.moment(survey, now, self._randomness)
            outbox.put(connection, self._device, survey, verdict.again, due, self._randomness)
        elif verdict.again:
            count(connection, self._device, "dropped: the app has this survey no longer", len(verdict.again))
