"""Delivery: when a batch is sent, and what is done about the collector's answer."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Iterable
from datetime import datetime

from hushtally.client_sdk.delivery.backoff import Backoffs
from hushtally.client_sdk.delivery.http import HttpTransport
from hushtally.client_sdk.delivery.transport import Answer, CutOff, Transport
from hushtally.client_sdk.delivery.verdict import BUSY, Verdict, complaint, judge
from hushtally.client_sdk.failures import describe_failure
from hushtally.client_sdk.forking import Forking
from hushtally.client_sdk.protocol.report import Batch
from hushtally.client_sdk.randomness import Randomness
from hushtally.client_sdk.state import counters, outbox
from hushtally.client_sdk.state.counters import Fate
from hushtally.client_sdk.state.file import State
from hushtally.client_sdk.state.outbox import Waiting
from hushtally.client_sdk.state.permission import Permission
from hushtally.client_sdk.survey import Survey

logger = logging.getLogger("hushtally")

TRY_SECONDS = 10.0  # the longest that one request may take

_failing = Backoffs()  # for all: a collector that hangs must not cost every device of a kiosk a try


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
        permission: Permission,
    ) -> None:
        self._state = state
        self._device = device
        self._surveys = {survey.digest: survey for survey in surveys}
        self._url = f"{collector}/v1/reports"
        self._transport = transport
        self._randomness = randomness
        self._permission = permission
        self._http = transport if isinstance(transport, HttpTransport) else None
        self._failing = _failing if self._http else Backoffs()
        self._sending = threading.Lock()
        super().__init__()

    def send(self, now: datetime, seconds: float, *, wait: bool = False) -> bool:
        """Sends the batches whose time has come, within `seconds` in all; whether none of them is left.

        Leaves alone what lately failed, or with `wait` tries it again as soon as it may be tried.
        """
        deadline = time.monotonic() + seconds
        if not self._due(now):
            return True
        if not self._sending.acquire(timeout=min(max(seconds, 0.0), threading.TIMEOUT_MAX) if wait else 0):
            return False  # another thread is at it
        try:
            if self._http:
                self._http.resume()
            while due := self._due(now):
                pause = self._pause(due, now)
                if pause > (deadline - time.monotonic() if wait else 0.0):
                    return False
                time.sleep(pause)
                if self._send_all(due, now, deadline):
                    return not self._due(now)
                if not wait or time.monotonic() >= deadline:
                    return False
            return True
        except CutOff:
            return False
        finally:
            self._sending.release()

    def cut(self) -> None:
        """Cuts the request under way, where there is one; no other begins before the next `send`."""
        if self._http:
            self._http.cut()

    def trouble(self, waiting: Iterable[bytes]) -> str | None:
        """Why the collector failed last, or else one of the batches that wait; None if neither did."""
        names: list[str | bytes] = [self._url, *waiting]
        return next((why for name in names if (why := self._failing.why(name))), None)

    def _due(self, now: datetime) -> list[Waiting]:
        """The batches to send; those that cannot be sent any more go first."""
        with self._state.lock() as connection:
            due = outbox.due(connection, self._device, now)
        if any(one.lost for one in due):
            with self._state.transaction() as connection:
                outbox.drop(connection, self._device, due)
        return [one for one in due if not one.lost]

    def _pause(self, due: list[Waiting], now: datetime) -> float:
        """Seconds until any of the batches may be tried."""
        first = min(self._failing.remaining(one.batch, now) for one in due)
        return max(self._failing.remaining(self._url, now), first)

    def after_fork(self) -> None:
        self._sending = threading.Lock()

    def _send_all(self, due: list[Waiting], now: datetime, deadline: float) -> bool:
        """Tries every batch that may be tried once, unless the collector is out of reach; whether all were settled."""
        self._state.mark()
        settled = True
        for waiting in due:
            if self._failing.remaining(waiting.batch, now) > 0:
                settled = False
                continue
            left = deadline - time.monotonic()
            # asked after `resume`: a withdrawal that begins now cuts what begins now
            if left <= 0 or self._permission.withdrawing:
                return False
            with self._state.lock() as connection:
                if not outbox.holds(connection, self._device, waiting.batch):
                    continue  # consent was withdrawn meanwhile, or another process delivered it
            try:
                answer = self._transport.request("POST", self._url, waiting.body, min(left, TRY_SECONDS))
            except CutOff:
                raise  # nobody failed
            except OSError as error:
                self._unreachable(waiting, now, f"the last try failed: {describe_failure(error)}")
                return False
            if answer.status in BUSY:
                self._unreachable(waiting, now, f"the collector answered {answer.status}", answer.retry_after)
                return False
            self._failing.succeeded(self._url)
            if self._settle(waiting, answer, now):
                self._failing.succeeded(waiting.batch)
            else:
                settled = False
        return settled

    def _unreachable(self, waiting: Waiting, now: datetime, why: str, retry_after: float | None = None) -> None:
        logger.info("not delivered: %s", why)
        self._failing.failed(self._url, now, self._randomness, why, retry_after, always=True)
        # it may be this batch that breaks the way: another one goes first the next time
        self._failing.failed(waiting.batch, now, self._randomness, why)

    def _later(self, waiting: Waiting, now: datetime, why: str, retry_after: float | None = None) -> None:
        """Tries a batch again later; where more fail than can be remembered, the collector is left alone as a whole."""
        logger.info("not delivered: %s", why)
        if not self._failing.failed(waiting.batch, now, self._randomness, why, retry_after):
            self._failing.failed(self._url, now, self._randomness, why, retry_after, always=True)

    def _settle(self, waiting: Waiting, answer: Answer, now: datetime) -> bool:
        """Acts on an answer; False when the batch is to be tried again, which keeps no other from being sent."""
        batch = Batch.decode(waiting.body)
        verdict = judge(answer, batch)
        if verdict is None:
            self._later(waiting, now, complaint(answer, batch), answer.retry_after)
            return False
        try:
            with self._state.transaction() as connection:
                if outbox.remove(connection, self._device, waiting.batch):
                    self._account(connection, batch, verdict, now)
        except sqlite3.Error as error:  # as on a full disk, where every tick would send it again
            self._later(waiting, now, f"the collector's answer could not be noted: {describe_failure(error)}")
            raise
        return True

    def _account(self, connection: sqlite3.Connection, batch: Batch, verdict: Verdict, now: datetime) -> None:
        """Counts what became of the reports; those that may be accepted later go out again, symbols unchanged."""
        if verdict.delivered:
            counters.add(connection, self._device, Fate.DELIVERED, verdict.delivered)
        for fate, number in verdict.lost.items():
            counters.add(connection, self._device, fate, number)
        survey = self._surveys.get(batch.digest)
        if verdict.again and survey is not None:
            due = outbox.moment(survey, now, self._randomness)
            outbox.put(connection, self._device, survey, verdict.again, due, self._randomness)
            # as where this device's clock is ahead: without a word they would only be seen to expire
            counters.add(connection, self._device, Fate.POSTPONED, len(verdict.again))
        elif verdict.again:
            counters.add(connection, self._device, Fate.SURVEY_REMOVED, len(verdict.again))
