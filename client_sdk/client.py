"""The client that an app embeds: it records on the device, answers at random, and sends only that."""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from os import PathLike
from types import TracebackType
from typing import Self

from client_sdk import answering, consent, events, ledger, outbox, schedule
from client_sdk.delivery import Delivery
from client_sdk.errors import ClientError
from client_sdk.explain import explain_survey
from client_sdk.randomness import Randomness, SystemRandomness
from client_sdk.state import State, count
from client_sdk.survey import Survey
from client_sdk.transport import HttpTransport, Transport, checked_url

logger = logging.getLogger("hushtally")

MOST_WARNINGS = 100  # names that one client warns about


def utc_now() -> datetime:
    """The time by this machine's clock."""
    return datetime.now(UTC)


class Client:
    """Counts on this device, and answers the surveys at random.

    surveys: one survey or several. collector: its URL, https (plain http to loopback only). state: the path of the
    one SQLite file, or ":memory:" for tests. cohort: one declared value for every cohort of the surveys, sent in the
    clear. device: a local key that keeps several customers apart in one state file; it never leaves. strict: `record`
    raises for what no survey names. clock, randomness and transport are for tests.

    Raises ClientError for what cannot work. After construction nothing raises into the app: failures are logged by
    kind, without any value.
    """

    def __init__(
        self,
        surveys: Survey | Iterable[Survey],
        *,
        collector: str,
        state: str | PathLike[str],
        cohort: Mapping[str, str] | None = None,
        device: str = "",
        strict: bool = False,
        clock: Callable[[], datetime] = utc_now,
        randomness: Randomness | None = None,
        transport: Transport | None = None,
    ) -> None:
        self._surveys = (surveys,) if isinstance(surveys, Survey) else tuple(surveys)
        self._cohorts = [_cohort_of(survey, cohort or {}) for survey in self._surveys]
        self._strict = strict
        self._clock = clock
        self._randomness = randomness or SystemRandomness()
        self._named = events.Named(self._surveys)
        self._warned: set[str] = set()
        url = checked_url(collector)
        self._state = State.at(state)
        try:
            self._device = self._state.device(device)
        except sqlite3.Error as error:
            raise ClientError(f"the state file {state} cannot be used: {error}") from None
        self._delivery = Delivery(self._state, self._device, self._surveys, url, transport or HttpTransport())

    def grant_consent(self) -> None:
        """Notes that the customer agrees to the surveys; before this nothing is recorded and nothing sent."""
        with self._quietly("grant_consent"), self._state.transaction() as connection:
            for survey in self._surveys:
                consent.grant(connection, self._device, survey, self._clock().date())
                schedule.keep(connection, self._device, survey, self._randomness)

    def withdraw_consent(self) -> None:
        """Stops, and erases events, answers and outbox from the file; keeps the fact and the epsilon spent."""
        with self._quietly("withdraw_consent"):
            with self._state.transaction() as connection:
                for survey in self._surveys:
                    consent.withdraw(connection, self._device, survey, self._clock().date())
            self._state.erase_deleted()

    def record(self, event: str, /, **fields: float | str) -> None:
        """Keeps an event on the device, with the day and those fields that a survey names.

        Anything that no survey names is dropped, counted, and warned about once by name (with strict=True it raises
        ClientError). Field values are numbers within 10^12 or texts of at most 100 characters.
        """
        with self._quietly("record"):
            if not self._named.event(event):
                self._dropped(f"event {event!r}")
                return
            kept = {}
            for field, value in fields.items():
                if not self._named.field(event, field):
                    self._dropped(f"field {event}.{field}")
                elif not events.usable(value):
                    self._dropped(f"field {event}.{field}", "holds no number within 10^12 and no text of up to 100")
                else:
                    kept[field] = value
            with self._state.lock() as connection:
                if any(consent.granted(connection, self._device, survey) for survey in self._surveys):
                    events.add(connection, self._device, self._clock().date(), event, kept)

    def tick(self) -> None:
        """Makes the answers that are due and tries once to send what waits; to be called now and then."""
        with self._quietly("tick"):
            self._answer()
            self._delivery.send(time.monotonic() + 30.0, self._clock().date(), self._randomness)

    def flush(self, timeout: float = 5.0) -> bool:
        """Sends what waits, for at most `timeout` seconds; whether nothing is left."""
        with self._quietly("flush"):
            self._delivery.send(time.monotonic() + timeout, self._clock().date(), self._randomness)
            with self._state.lock() as connection:
                return not outbox.waiting(connection, self._device)
        return False

    def explain(self) -> str:
        """In plain language: what is asked, why, what leaves the device, and what this device has spent."""
        with self._quietly("explain"), self._state.lock() as connection:
            return "\n\n".join(
                f"{explain_survey(survey)}\n\nOn this device\n"
                f"  {'agreed' if consent.granted(connection, self._device, survey) else 'not agreed'};"
                f" spent epsilon {ledger.spent(connection, self._device, survey):g}"
                f" of at most {survey.lifetime_epsilon:g}"
                for survey in self._surveys
            )
        return "hushtally cannot read its state on this device"

    def status(self) -> dict[str, int]:
        """Counters of what was delivered, dropped and why, and how many batches wait; no value is in them."""
        with self._quietly("status"), self._state.lock() as connection:
            rows = connection.execute("SELECT name, count FROM counters WHERE device = ?", (self._device,))
            return {"waiting": len(outbox.waiting(connection, self._device)), **dict(rows)}
        return {}

    def close(self) -> None:
        """Lets go of the state file; the client is not used afterwards."""
        with self._quietly("close"):
            del self._delivery
            del self._state

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _answer(self) -> None:
        today = self._clock().date()
        with self._state.lock() as connection:
            due = [
                pair
                for pair in zip(self._surveys, self._cohorts, strict=True)
                if answering.due(connection, self._device, pair[0], today)
            ]
        if not due:
            return
        with self._state.transaction() as connection:
            events.prune(connection, self._device, today, self._named.days)
            for survey, cohort in due:
                answering.answer(connection, self._device, survey, cohort, today, self._randomness)

    def _dropped(self, what: str, why: str = "is named by no survey") -> None:
        if self._strict:
            raise ClientError(f"{what} {why}")
        with self._state.lock() as connection:
            count(connection, self._device, "dropped")
        if what not in self._warned and len(self._warned) < MOST_WARNINGS:
            self._warned.add(what)
            logger.warning("%s %s and was dropped", what, why)

    @contextmanager
    def _quietly(self, doing: str) -> Iterator[None]:
        """Keeps failures out of the app; only their kind is logged, as their text may hold a value."""
        try:
            yield
        except ClientError:
            raise
        except Exception as error:
            logger.error("%s failed: %s", doing, type(error).__name__)


def _cohort_of(survey: Survey, cohort: Mapping[str, str]) -> dict[str, str]:
    chosen = {name: cohort[name] for name in survey.cohorts if name in cohort}
    problem = survey.cohort_problem(chosen)
    if problem:
        raise ClientError(f"cohort {problem}, got {json.dumps(dict(cohort))}")
    return chosen
