"""The sender: sends batches when they are due, and acts on the collector's response."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime

from hushtally.client_sdk import calls
from hushtally.client_sdk.delivery.backoff import Backoffs
from hushtally.client_sdk.delivery.http import HttpTransport
from hushtally.client_sdk.delivery.transport import RequestCancelled, Response, Transport
from hushtally.client_sdk.delivery.verdict import BUSY, Verdict, judge, retry_reason
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

TRY_SECONDS = 10.0  # the time limit of one request

# shared by all devices of the process, so that a gateway makes only one attempt if the collector is unreachable
_shared_backoffs = Backoffs()


class Sender(Forking):
    """Sends the batches of one device. A retry sends the same bytes."""

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
        self._backoffs = _shared_backoffs if self._http else Backoffs()
        self._sending = threading.RLock()
        super().__init__()

    def send(self, now: datetime, seconds: float, *, wait: bool = False) -> bool:
        """Send the batches that are due, within `seconds` in total. Returns whether no batch is left.

        Batches that wait after a failure are skipped. With `wait`, they are sent as soon as their pause is over.
        """
        deadline = time.monotonic() + seconds
        if not self._due(now):
            return True
        sending = self._sending
        try:
            if not sending.acquire(timeout=min(max(seconds, 0.0), threading.TIMEOUT_MAX) if wait else 0):
                return False  # another thread is sending
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
        except RequestCancelled:
            return False
        finally:
            with suppress(RuntimeError):  # another thread is sending, or a signal handler raised an exception
                sending.release()

    def cancel(self) -> None:
        """Cancel the current request, if there is one. No other request begins before the next `send`."""
        if self._http:
            self._http.cancel()

    def last_failure(self, waiting: Iterable[bytes]) -> str | None:
        """Why the last attempt failed: for the collector, or else for a waiting batch. None if no attempt failed."""
        names: list[str | bytes] = [self._url, *waiting]
        return next((reason for name in names if (reason := self._backoffs.reason(name))), None)

    def _due(self, now: datetime) -> list[Waiting]:
        """Return the batches to send. Batches that can no longer be sent are dropped."""
        with self._state.lock() as connection:
            due = outbox.due(connection, self._device, now)
        if any(batch.lost for batch in due):
            with self._state.transaction() as connection:
                outbox.drop(connection, self._device, due)
        return [batch for batch in due if not batch.lost]

    def _pause(self, due: list[Waiting], now: datetime) -> float:
        """Return the number of seconds until the first of the batches may be sent."""
        first = min(self._backoffs.remaining(waiting.batch, now) for waiting in due)
        return max(self._backoffs.remaining(self._url, now), first)

    def after_fork(self) -> None:
        self._sending = threading.RLock()

    def _send_all(self, due: list[Waiting], now: datetime, deadline: float) -> bool:
        """Send every batch once, unless the collector is unreachable. Returns whether all batches are settled."""
        self._state.mark()
        settled = True
        for waiting in due:
            if self._backoffs.remaining(waiting.batch, now) > 0:
                settled = False
                continue
            left = deadline - time.monotonic()
            # checked after `resume`: a withdrawal after this check cancels the request
            if left <= 0 or self._permission.withdrawing:
                return False
            with self._state.lock() as connection:
                if not outbox.holds(connection, self._device, waiting.batch):
                    continue  # consent was withdrawn meanwhile, or another process delivered the batch
            try:
                response = self._transport.request("POST", self._url, waiting.body, min(left, TRY_SECONDS))
            except RequestCancelled:
                raise  # the collector did not fail
            except OSError as error:
                self._unreachable(waiting, now, f"the last try failed: {describe_failure(error)}")
                return False
            if response.status in BUSY:
                reason = f"the collector answered with status {response.status}"
                self._unreachable(waiting, now, reason, response.retry_after)
                return False
            self._backoffs.succeeded(self._url)
            if self._settle(waiting, response, now):
                self._backoffs.succeeded(waiting.batch)
            else:
                settled = False
        return settled

    def _unreachable(self, waiting: Waiting, now: datetime, reason: str, retry_after: float | None = None) -> None:
        """Record that the collector did not accept any batch."""
        calls.report(logger.info, "not delivered: %s", reason)
        self._backoffs.failed(self._url, now, self._randomness, reason, retry_after, always=True)
        # this batch may be the cause of the failure, so the next attempt starts with another batch
        self._backoffs.failed(waiting.batch, now, self._randomness, reason)

    def _retry(self, waiting: Waiting, now: datetime, reason: str, retry_after: float | None = None) -> None:
        """Retry this batch later. If more batches failed than can be stored, pause all requests to the collector."""
        calls.report(logger.info, "not delivered: %s", reason)
        if not self._backoffs.failed(waiting.batch, now, self._randomness, reason, retry_after):
            self._backoffs.failed(self._url, now, self._randomness, reason, retry_after, always=True)

    def _settle(self, waiting: Waiting, response: Response, now: datetime) -> bool:
        """Act on a response. Returns False if the batch must be retried; the other batches are still sent."""
        batch = Batch.decode(waiting.body)
        verdict = judge(response, batch)
        if verdict is None:
            self._retry(waiting, now, retry_reason(response, batch), response.retry_after)
            return False
        try:
            with self._state.transaction() as connection:
                if outbox.remove(connection, self._device, waiting.batch):
                    self._account(connection, batch, verdict, now)
        except sqlite3.Error as error:
            # for example a full disk; without a pause, every tick would send the batch again
            self._retry(waiting, now, f"the collector's response could not be stored: {describe_failure(error)}")
            raise
        return True

    def _account(self, connection: sqlite3.Connection, batch: Batch, verdict: Verdict, now: datetime) -> None:
        """Count what happened to the reports. Reports that may be accepted later are queued again, unchanged."""
        if verdict.delivered:
            counters.add(connection, self._device, Fate.DELIVERED, verdict.delivered)
        for fate, number in verdict.lost.items():
            counters.add(connection, self._device, fate, number)
        survey = self._surveys.get(batch.digest)
        if verdict.again and survey is not None:
            due = outbox.moment(survey, now, self._randomness)
            outbox.put(connection, self._device, survey, verdict.again, due, self._randomness)
            # this happens if the device's clock is ahead; without this counter, only expired reports would reveal it
            counters.add(connection, self._device, Fate.POSTPONED, len(verdict.again))
        elif verdict.again:
            counters.add(connection, self._device, Fate.SURVEY_REMOVED, len(verdict.again))
