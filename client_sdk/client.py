"""The client that an app embeds: it records events on the device and sends only randomized answers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from os import PathLike
from typing import Required, SupportsFloat, TypedDict, TypeVar

from hushtally.client_sdk import calls
from hushtally.client_sdk.arguments import (
    check_ceilings,
    check_dependencies,
    check_device,
    check_flags,
    check_keep_consent,
    check_state,
    checked_clock,
    checked_cohorts,
    checked_surveys,
)
from hushtally.client_sdk.clock import utc_now
from hushtally.client_sdk.delivery.http import HttpTransport
from hushtally.client_sdk.delivery.transport import Transport
from hushtally.client_sdk.delivery.url import checked_url
from hushtally.client_sdk.device.device import Device
from hushtally.client_sdk.device.embedding import Embedding, Fault
from hushtally.client_sdk.device.file_user import Settings
from hushtally.client_sdk.device.journal import Entry
from hushtally.client_sdk.device.recording import Recording
from hushtally.client_sdk.explain.explanation import Explanation, explain_survey
from hushtally.client_sdk.explain.status import Status
from hushtally.client_sdk.randomness import Randomness, SystemRandomness
from hushtally.client_sdk.state.consent import Receipt
from hushtally.client_sdk.state.file import State
from hushtally.client_sdk.survey import Survey

logger = logging.getLogger("hushtally")

T = TypeVar("T")


class Options(TypedDict, total=False):
    """The keyword arguments of `Client`."""

    collector: Required[str]
    state: Required[str | PathLike[str]]
    cohort: Mapping[str, str] | None
    device: str
    max_epsilon: float | None
    max_lifetime_epsilon: float | None
    keep_consent: bool
    durable: bool
    strict: bool
    on_error: Callable[[Fault], None] | None
    clock: Callable[[], datetime]
    randomness: Randomness | None
    transport: Transport | None


class Client(Embedding[Device]):
    """Records events on this device and answers surveys with randomized reports.

    Nothing is recorded or sent before `grant_consent`. Call `tick` regularly, or `start` once.

    Args:
        surveys: One survey, or several with different ids.
        collector: The URL of the collector. The URL must use https; plain http is allowed only to this machine.
        state: The path of the state file, an SQLite database. Use ":memory:" in tests.
        cohort: A value for each cohort that the surveys declare. Cohorts are sent in the clear. The state file stores
            the values of the last client that stored a consent or an event of this device, and every answer has the
            stored values. Leave it out where only the device is known, as in a timer.
        device: A local key, for an app that serves several customers from one state file. The key never leaves the
            machine. The file stores only a salted hash of the key, with or without consent.
        max_epsilon: The most epsilon that the app allows for one report. None means no limit.
        max_lifetime_epsilon: The most epsilon that the app allows for all surveys of a device together. None means no
            limit.
        keep_consent: Let consent cover later versions of a survey, up to `max_lifetime_epsilon`, which is then
            required. Ask the customer again if `hushtally survey diff` says so: a later version may reveal more.
        durable: Write every event to the disk before `record` returns. By default events are written in batches: when
            64 events wait, or with the first call after a second. Under uWSGI, and in workers of Celery, every event is
            written at once, because these processes may end without notice.
        strict: Let `record` raise ClientError for an event, a field or a value that no survey can use. For development.
        on_error: A function that is called with a Fault for every failure. It is not called for a silent survey, for a
            delivery that will be retried, or for a dropped event. `status` lists these cases.
        clock: A function that returns the time with any time zone, which the client converts to UTC. A time without a
            time zone is refused. For tests.
        randomness: A source of random numbers. For tests.
        transport: A replacement for the network. For tests: see `hushtally.testing`.

    Raises:
        ClientError: An argument is invalid.

    The methods do not raise: they log a failure and pass it to `on_error`. The only exception is `record` with
    strict=True. A failure of a call that a log handler or `on_error` makes is not reported again.

    A signal handler, a finalizer or a log handler may call a client in the middle of another call on the same thread.
    Such a call never waits. `record` keeps the event, `withdraw_consent` and `close` take effect when the other call
    ends, and other methods return what they can without the state file.

    Several clients may share a device, for example in two libraries of one app. Each client has its own surveys and
    records events only for these surveys. The ledger and a withdrawal apply to the whole device.

    If the state file cannot be used, the client is silent, and `status` gives the reason. If the file was copied,
    restored or damaged, or separated from its mark file, the device stays silent for the surveys that run now. If the
    file is deleted or replaced while it is open, the client is silent. The next `grant_consent` or `withdraw_consent`
    opens the new file.

    If DO_NOT_TRACK=1 or HUSHTALLY_DISABLED=1 is set in the environment, the client does nothing, even with consent.
    """

    def __init__(
        self,
        surveys: Survey | Iterable[Survey],
        *,
        collector: str,
        state: str | PathLike[str],
        cohort: Mapping[str, str] | None = None,
        device: str = "",
        max_epsilon: float | None = None,
        max_lifetime_epsilon: float | None = None,
        keep_consent: bool = False,
        durable: bool = False,
        strict: bool = False,
        on_error: Callable[[Fault], None] | None = None,
        clock: Callable[[], datetime] = utc_now,
        randomness: Randomness | None = None,
        transport: Transport | None = None,
    ) -> None:
        self._surveys = checked_surveys(surveys)
        check_state(state)
        check_device(device)
        check_flags(keep_consent=keep_consent, durable=durable, strict=strict)
        clock = checked_clock(clock)
        check_dependencies(on_error, randomness, transport)
        check_ceilings(self._surveys, max_epsilon, max_lifetime_epsilon)
        check_keep_consent(keep_consent, max_lifetime_epsilon)
        asked = list(zip(self._surveys, checked_cohorts(self._surveys, cohort), strict=True))
        url = checked_url(collector)
        self._recording = Recording(self._surveys)
        self._strict = strict
        randomness = randomness or SystemRandomness()
        settings = Settings(max_lifetime_epsilon, keep_consent, durable)
        transport = transport or HttpTransport()
        self._path = State.absolute_path(state)  # the app may change its working directory
        super().__init__(
            lambda: Device(State.at(self._path), device, asked, url, transport, settings, clock, randomness),
            on_error,
            randomness,
        )

    @property
    def _device(self) -> Device | None:
        return self._core

    def grant_consent(self, shown: str | None = None) -> bool:
        """Store that the customer agrees to the surveys. Before this call nothing is recorded or sent.

        Args:
            shown: The text that the customer agreed to, for the receipt. By default the text of `explain`.

        Returns:
            Whether consent to every survey is stored. False has four causes. The client does not retry by itself.

            - The state file cannot be used. If the file could not be opened before, this call tries to open it again.
            - DO_NOT_TRACK or HUSHTALLY_DISABLED is set, or the client was closed.
            - The customer already agreed to a newer version of a survey, for example before a new release of the app
              was rolled back. That consent stays, and consent to the other surveys is stored.
            - The call was made in the middle of another call on this thread, for example in a signal handler.
        """
        return calls.run(partial(self._grant, shown), partial(self._refuse, "grant_consent"))

    def withdraw_consent(self) -> bool:
        """Stop at once, and erase events, answers and unsent reports. Only the decision and the ledger are kept.

        The withdrawal covers every survey that the customer ever agreed to on this device, including surveys that the
        app no longer has. Requests in progress are cancelled. Two things may still arrive: bytes that the operating
        system already accepted, and a request of another process.

        Returns:
            Whether the withdrawal is stored and everything is erased. False has four causes.

            - Another process was reading the file. The next `tick` erases the rest.
            - The file could not be written; `on_error` is called. This client then records, answers and sends nothing.
              Every `record`, `tick`, `status` and `grant_consent` retries the withdrawal, and `close` retries it for
              the last time. If `close` fails too, or if the process dies first, consent is still stored at the next
              start.
            - The file could not be opened, not even by this call, or the client was closed; `on_error` is called. The
              client does not retry. Withdraw again later. After `close`, use a new client.
            - The call was made in the middle of another call on this thread. When that call ends, the withdrawal is
              written and everything is erased.
        """
        return calls.run(self._withdraw, self._withdraw_later)

    def record(self, event: str, /, **fields: SupportsFloat | str) -> None:
        """Record an event on the device, with its day and the fields that a survey uses.

        Args:
            event: The name of the event.
            fields: Numbers up to 10^12, including Decimal and numpy numbers, or strings of at most 100 characters. A
                field that a survey sums must be a number. Pass 1 or 0 for a bool.

        Events, fields and values that no survey can use are dropped, counted, and logged once. The log line contains
        only names from the surveys, because a name from the app may reveal something about the customer. With
        strict=True, the call raises ClientError instead, and the message contains the name.

        Before consent nothing is stored or counted; a log line at level INFO says so once. After `close`, the first
        call logs a warning.

        If other threads or processes are using the state file, the call waits for a fraction of a second. During the
        next second, calls do not wait at all. The last 64 events stay in memory; earlier events are dropped and
        counted.
        """
        if self._strict:
            self._recording.check(event, fields)
        calls.run(partial(self._record, event, fields), partial(self._record_later, event, fields))

    def explain(self) -> Explanation:
        """Return what the surveys ask and why, what leaves the device, what the reports reveal, and the epsilon spent.

        Print the explanation, or build a settings page from its `as_dict()`. Several surveys follow one another.
        """
        parts = calls.run(partial(self._read, "explain", Device.explain, None), lambda: None) or tuple(
            explain_survey(survey, stopped=self._why_silent()) for survey in self._surveys
        )
        return Explanation.joined(parts)

    def status(self) -> Status:
        """Return the state of each survey, the number of waiting reports, and what was delivered or dropped, and why.

        The status contains no recorded value and no answer. After `close`, the status is read from the file and still
        shows the consent that was given.
        """
        status = calls.run(partial(self._read, "status", Device.status, None), lambda: None)
        if status is None:
            return Status.unreadable(self._surveys, self._why_silent())
        return status.silenced(self._why_silent()) if self._device is None else status

    def receipts(self) -> tuple[Receipt, ...]:
        """Return the customer's last decision about each survey: which version, when, and the text shown."""
        nothing: tuple[Receipt, ...] = ()
        return calls.run(partial(self._read, "receipts", Device.receipts, nothing), lambda: nothing)

    def _grant(self, shown: str | None) -> bool:
        self._reopen("grant_consent")
        return self._call("grant_consent", lambda device: device.grant(shown), False)

    def _withdraw(self) -> bool:
        self._reopen("withdraw_consent")
        return self._call("withdraw_consent", Device.withdraw, False, even_if_opted_out=True)

    def _withdraw_later(self) -> bool:
        """Stop at once, and erase when the outer call has ended."""
        device = self._device
        if device is not None:
            device.stop()
        calls.defer(self.withdraw_consent)
        return False

    def _record(self, event: str, fields: Mapping[str, object]) -> None:
        if self._closed:
            self._recording.warn_closed()
            return
        # reading the environment is slow compared with the rest, so the opt-out is checked when the event is written
        self._call("record", lambda device: self._recording.record(device, event, fields), None, even_if_opted_out=True)

    def _record_later(self, event: str, fields: Mapping[str, object]) -> None:
        """Keep the event in memory until the outer call has ended."""
        device = self._device
        if device is None:
            if self._opens_later:
                calls.defer(lambda: calls.run(partial(self._record, event, fields), lambda: None))
            elif self._closed:
                self._recording.warn_closed()
            return
        try:
            entry = self._recording.entry(device.known_permit(), event, fields)
            if entry is not None and not calls.defer(partial(self._store, device, entry)):
                device.lose(entry)
        except Exception as error:
            self._report("record", error)

    def _store(self, device: Device, entry: Entry) -> None:
        """Store an event of a re-entrant call, also if the outer call has closed the client."""

        def call() -> None:
            try:
                device.store(entry)
                if self._closed:
                    device.close()
            except Exception as error:
                self._report("record", error)

        calls.run(call, lambda: None)

    def _read(self, during: str, action: Callable[[Device], T], default: T) -> T:
        """Do the same as `_call`, even if the customer opted out. After `close`, open the file for this call only."""
        if self._device is not None or not (self._closed and State.exists_at(self._path)):
            return self._call(during, action, default, even_if_opted_out=True)
        try:
            return action(self._create())
        except Exception as error:
            self._report(during, error)
            return default
