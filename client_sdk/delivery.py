"""Delivery: when a batch is sent, and what the collector's answer means for it."""

from __future__ import annotations

import json
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
from client_sdk.report import Batch, Reason
from client_sdk.state import State, count
from client_sdk.survey import Survey
from client_sdk.transport import Answer, Transport

logger = logging.getLogger("hushtally")

TRY_SECONDS = 10.0  # the longest that one request may take
RETRIED = frozenset({408, 425, 429})  # client errors that pass by themselves


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
        self._backoff = Backoff()
        self._sending = threading.Lock()
        super().__init__()

    def send(self, now: datetime, seconds: float, *, wait: bool = False) -> None:
        """Sends the batches whose time has come, within `seconds` in all.

        Leaves a collector alone that lately failed, or with `wait` tries it again as soon as it may be tried.
        """
        deadline = time.monotonic() + seconds
        if not self._sending.acquire(timeout=seconds if wait else 0):
            return  # another thread is at it
        try:
            while True:
                pause = self._backoff.remaining()
                if pause > 0:
                    if not wait or pause > deadline - time.monotonic():
                        return
                    time.sleep(pause)
                if self._send_all(now, deadline) or not wait or time.monotonic() >= deadline:
                    return
        finally:
            self._sending.release()

    def after_fork(self) -> None:
        self._sending = threading.Lock()

    def _send_all(self, now: datetime, deadline: float) -> bool:
        """Tries every batch once; False at the first that the collector did not take or refuse."""
        with self._state.lock() as connection:
            outbox.drop_expired(connection, self._device, now.date())
            batches = outbox.due(connection, self._device, now)
        if batches:
            self._state.mark()
        for waiting in batches:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            try:
                answer = self._transport.request("POST", self._url, waiting.body, min(left, TRY_SECONDS))
            except OSError as error:
                logger.info("the collector cannot be reached: %s", type(error).__name__)
                self._backoff.failed(self._randomness)
                return False
            with self._state.transaction() as connection:
                settled = self._settle(connection, waiting, answer, now)
            if not settled:
                self._backoff.failed(self._randomness, answer.retry_after)
                return False
            self._backoff.succeeded()
        return True

    def _settle(self, connection: sqlite3.Connection, waiting: Waiting, answer: Answer, now: datetime) -> bool:
        """Acts on an answer; False when the collector is better left alone for now."""
        batch = Batch.decode(waiting.body)
        if answer.status == 200:
            rejected = _rejected(answer.body, len(batch.reports))
            if rejected is None:
                logger.info("the collector's answer is not one of hushtally's")
                return False
            if outbox.remove(connection, waiting.batch):
                self._account(connection, batch, rejected, now)
            return True
        if 400 <= answer.status < 500 and answer.status not in RETRIED:
            if outbox.remove(connection, waiting.batch):
                count(connection, self._device, f"refused: {answer.status}", len(batch.reports))
            return True
        return False

    def _account(self, connection: sqlite3.Connection, batch: Batch, rejected: dict[int, str], now: datetime) -> None:
        """Counts what became of the reports; those that may be accepted later go out again, symbols unchanged."""
        delivered = len(batch.reports) - len(rejected)
        if delivered:
            count(connection, self._device, "delivered", delivered)
        again = [batch.reports[index] for index, reason in rejected.items() if not reason]
        survey = self._surveys.get(batch.digest)
        if again and survey:
            due = outbox.moment(survey, now, self._randomness)
            outbox.put(connection, self._device, survey, again, due, self._randomness)
        for reason in filter(None, rejected.values()):
            count(connection, self._device, f"rejected: {reason}")


def _rejected(body: bytes, reports: int) -> dict[int, str] | None:
    """Index to reason of the rejected reports, with '' for one that may go out again; None if it is no such answer."""
    try:
        found = {}
        for one in json.loads(body)["rejected"]:
            reason = one["reason"] if one["reason"] in list(Reason) else "other"
            found[int(one["index"])] = "" if one["retryable"] is True else reason
    except (ValueError, LookupError, TypeError, RecursionError, OverflowError):
        return None
    return found if all(0 <= index < reports for index in found) else None
