"""The sender: sends batches when they are due, and acts on the collector's response."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import date, datetime

from hushtally.client_sdk import calls
from hushtally.client_sdk.delivery.backoff import Backoffs
from hushtally.client_sdk.delivery.http import HttpTransport
from hushtally.client_sdk.delivery.transport import RequestCancelled, Response, Transport
from hushtally.client_sdk.delivery.verdict import BUSY, Verdict, judge, retry_reason
from hushtally.client_sdk.errors import BatchError
from hushtally.client_sdk.failures import describe_failure
from hushtally.client_sdk.forking import Forking
from hushtally.client_sdk.protocol.report import MAX_REPORTS, Batch, Report
from hushtally.client_sdk.randomness import Randomness
from hushtally.client_sdk.state import counters, outbox
from hushtally.client_sdk.state.counters import Fate
from hushtally.client_sdk.state.file import State
from hushtally.client_sdk.state.outbox import Due, Waiting
from hushtally.client_sdk.state.permission import Permission
from hushtally.client_sdk.survey import Survey

logger = logging.getLogger("hushtally")

TRY_SECONDS = 10.0  # the time limit of one request

# shared by all devices of the process, so that a gateway makes only one attempt if the collector is unreachable
_shared_backoffs = Backoffs()


class Sender(Forking):
    """Sends the batches of one device, or of all devices of a file. A retry sends the same bytes.

    device: None for all devices. Their reports are mixed: see `outbox.mix`.
    """

    def __init__(
        self,
        state: State,
        device: int | None,
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
        self._current: Waiting | None = None  # the batch of the current request
        self._postponed = False  # whether a report was postponed since `send` began
        self._searched_on: date | None = None  # the day on which the whole outbox was last searched for expired rows
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
            self._postponed = False
            while due := self._due(now):
                pause = self._pause(due, now)
                if pause > (deadline - time.monotonic() if wait else 0.0):
                    return False
                time.sleep(pause)
                batches = self._freeze(due, now)
                settled = self._send_all(batches, now, deadline)
                if settled and (self._device is not None or self._postponed):
                    return not self._due(now)  # a postponed report may be due at once; it waits for the next call
                if not batches or (not settled and (not wait or time.monotonic() >= deadline)):
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

    def cancel_erased(self) -> None:
        """Cancel the current request if its batch was erased."""
        current = self._current
        if current is not None:
            with self._state.lock() as connection:
                erased = not outbox.holds(connection, current)
            if erased:
                self.cancel()

    def _due(self, now: datetime) -> Due:
        """Return what is due. Batches that can no longer be sent are dropped."""
        thorough = self._device is None and self._searched_on != now.date()
        with self._state.lock() as connection:
            if self._device is not None:
                due = outbox.due(connection, self._device, now)
            else:
                due = outbox.due_everywhere(connection, now, thorough=thorough)
        lost = [batch for batch in due.batches if batch.lost]
        if lost:
            with self._state.transaction() as connection:
                counters.add_all(connection, outbox.drop(connection, lost))
        if thorough and len(lost) < MAX_REPORTS:
            self._searched_on = now.date()
        return Due([batch for batch in due.batches if not batch.lost], due.loose)

    def _pause(self, due: Due, now: datetime) -> float:
        """Return the number of seconds until the first of the batches may be sent."""
        first = 0.0 if due.loose else min(self._backoffs.remaining(waiting.batch, now) for waiting in due.batches)
        return max(self._backoffs.remaining(self._url, now), first)

    def _freeze(self, due: Due, now: datetime) -> list[Waiting]:
        """Return the batches to send. Reports that are in no batch yet become one, or a part of one, for good."""
        if due.loose:
            # a copy of the file in which these reports are in no batch must not send them in another
            with self._state.answering() as connection:
                if self._device is not None:
                    outbox.claim(connection, self._device, now)
                else:
                    withdrawing = self._permission.withdrawing
                    counters.add_all(connection, outbox.mix(connection, now, withdrawing, self._randomness))
            due = self._due(now)
        return due.batches

    def after_fork(self) -> None:
        self._sending = threading.RLock()

    def _send_all(self, due: list[Waiting], now: datetime, deadline: float) -> bool:
        """Send every batch once, unless the collector is unreachable. Returns whether to go on with what is left.

        A device goes on if all batches are settled. A gateway, which mixes one batch after the other, if one is.
        """
        self._state.mark()
        settled = failed = 0
        for waiting in due:
            if self._backoffs.remaining(waiting.batch, now) > 0:
                failed += 1
                continue
            left = deadline - time.monotonic()
            # checked after `resume`: a withdrawal after this check cancels the request
            if left <= 0 or waiting.device in self._permission.withdrawing:
                return False
            with self._state.lock() as connection:
                if not outbox.holds(connection, waiting):
                    continue  # consent was withdrawn meanwhile, or another process delivered the batch
            try:
                self._current = waiting
                response = self._transport.request("POST", self._url, waiting.body, min(left, TRY_SECONDS))
            except RequestCancelled:
                raise  # the collector did not fail
            except OSError as error:
                self._unreachable(waiting, now, f"the last try failed: {describe_failure(error)}")
                if waiting.device is None and never_sent(error):
                    with self._state.transaction() as connection:
                        outbox.dissolve(connection, waiting)
                return False
            finally:
                self._current = None
            if response.status in BUSY:
                reason = f"the collector answered with status {response.status}"
                self._unreachable(waiting, now, reason, response.retry_after)
                return False
            self._backoffs.succeeded(self._url)
            if self._settle(waiting, response, now):
                self._backoffs.succeeded(waiting.batch)
                settled += 1
            else:
                failed += 1
        return not failed if self._device is not None else settled > 0

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
                self._account(connection, outbox.take(connection, waiting), batch, verdict, now)
        except sqlite3.Error as error:
            # for example a full disk; without a pause, every tick would send the batch again
            self._retry(waiting, now, f"the collector's response could not be stored: {describe_failure(error)}")
            raise
        return True

    def _account(
        self,
        connection: sqlite3.Connection,
        rows: list[tuple[int, bytes]],
        batch: Batch,
        verdict: Verdict,
        now: datetime,
    ) -> None:
        """Count what happened to the reports. Reports that may be accepted later are queued again, unchanged.

        rows: the device and the reports of each row of the batch. Equal reports are interchangeable, so a report's
        content finds its device. A report whose device withdrew consent meanwhile is not counted.
        """
        fates: dict[str, list[Fate]] = {}
        for report, fate in zip(batch.reports, verdict.fates, strict=True):
            fates.setdefault(repr(report), []).append(fate)
        survey = self._surveys.get(batch.digest)
        counts: Counter[tuple[int, Fate]] = Counter()
        entries = []
        for device, body in rows:
            again = []
            for report in _reports(body):
                fate = fates.get(repr(report), [Fate.DAMAGED_REPORT]).pop()
                if fate is Fate.POSTPONED and survey is None:
                    fate = Fate.SURVEY_REMOVED
                elif fate is Fate.POSTPONED:
                    again.append(report)
                # POSTPONED happens if the device's clock is ahead; otherwise only expired reports would reveal it
                counts[device, fate] += 1
            if again and survey is not None:
                self._postponed = True
                due = outbox.moment(survey, now, self._randomness)
                alone = self._device is not None
                entries.append(outbox.entry(device, survey, again, due, self._randomness, alone=alone))
        counters.add_all(connection, counts)
        outbox.put_all(connection, entries)


def _reports(body: bytes) -> Sequence[Report]:
    """The reports of a row; none if it was damaged since it was mixed into a batch."""
    try:
        return Batch.decode(body).reports
    except BatchError:
        return ()


def never_sent(error: OSError) -> bool:
    """Return whether the connection failed before any byte could be sent."""
    return any(kind.__name__ in ("ConnectionRefusedError", "gaierror") for kind in type(error).__mro__)
