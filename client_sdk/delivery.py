"""Delivery: what the collector's answer means for a batch that waits."""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Iterable
from datetime import date

from client_sdk import outbox
from client_sdk.outbox import Waiting
from client_sdk.randomness import Randomness
from client_sdk.report import Batch
from client_sdk.state import State, count
from client_sdk.survey import Survey
from client_sdk.transport import Answer, Transport

logger = logging.getLogger("hushtally")

TRY_SECONDS = 10.0  # the longest that one request may take
RETRIED = frozenset({408, 425, 429})  # client errors that pass by themselves


class Delivery:
    """Sends one device's batches; a retry sends the same bytes."""

    def __init__(
        self, state: State, device: int, surveys: Iterable[Survey], collector: str, transport: Transport
    ) -> None:
        self._state = state
        self._device = device
        self._surveys = {survey.digest: survey for survey in surveys}
        self._url = f"{collector}/v1/reports"
        self._transport = transport

    def send(self, deadline: float, today: date, randomness: Randomness) -> None:
        """Tries every waiting batch once, until `deadline` on the monotonic clock or the first that gets no answer."""
        with self._state.lock() as connection:
            outbox.drop_expired(connection, self._device, today)
            batches = outbox.waiting(connection, self._device)
        for waiting in batches:
            left = deadline - time.monotonic()
            if left <= 0:
                return
            try:
                answer = self._transport.post(self._url, waiting.body, min(left, TRY_SECONDS))
            except OSError as error:
                logger.info("the collector cannot be reached: %s", type(error).__name__)
                return
            with self._state.transaction() as connection:
                if not self._settle(connection, waiting, answer, randomness):
                    return

    def _settle(self, connection: sqlite3.Connection, waiting: Waiting, answer: Answer, randomness: Randomness) -> bool:
        """Acts on an answer; False when the collector is better left alone for now."""
        reports = Batch.decode(waiting.body).reports
        if answer.status == 200:
            rejected = _rejected(answer.body, len(reports))
            if rejected is None:
                logger.info("the collector's answer is not one of hushtally's")
                return False
            outbox.remove(connection, waiting.batch)
            count(connection, self._device, "delivered", len(reports) - len(rejected))
            self._resend(connection, waiting, [index for index, reason in rejected.items() if not reason], randomness)
            for reason in filter(None, rejected.values()):
                count(connection, self._device, f"rejected: {reason}")
            return True
        if 400 <= answer.status < 500 and answer.status not in RETRIED:
            outbox.remove(connection, waiting.batch)
            count(connection, self._device, f"refused: {answer.status}", len(reports))
            return True
        return False

    def _resend(
        self, connection: sqlite3.Connection, waiting: Waiting, indexes: list[int], randomness: Randomness
    ) -> None:
        """Puts reports that may be accepted later, with the symbols they have, under a new batch id."""
        batch = Batch.decode(waiting.body)
        survey = self._surveys.get(batch.digest)
        if indexes and survey:
            outbox.put(connection, self._device, survey, [batch.reports[index] for index in indexes], randomness)


def _rejected(body: bytes, reports: int) -> dict[int, str] | None:
    """Index to reason of the rejected reports, with '' for one that may go out again; None if it is no such answer."""
    try:
        answer = json.loads(body)
        rejected = {
            int(one["index"]): "" if one["retryable"] is True else str(one["reason"])[:40] for one in answer["rejected"]
        }
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return rejected if all(0 <= index < reports for index in rejected) else None
