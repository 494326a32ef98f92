"""The client that an app embeds: it records events on the device and sends only randomized answers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from os import PathLike
from types import TracebackType
from typing import Required, Self, SupportsFloat, TypedDict, TypeVar

from hushtally.client_sdk.arguments import (
    check_ceilings,
    check_dependencies,
    check_device,
    check_flags,
    check_keep_consent,
    check_state,
    checked_cohorts,
    checked_surveys,
)
from hushtally.client_sdk.clock import utc_now
from hushtally.client_sdk.delivery.http import HttpTransport
from hushtally.client_sdk.delivery.transport import Transport
from hushtally.client_sdk.delivery.url import checked_url
from hushtally.client_sdk.device.device import TICK_SECONDS, Device, Settings
from hushtally.client_sdk.device.recording import Recording
from hushtally.client_sdk.device.ticker import Ticker
from hushtally.client_sdk.errors import ClientError, StateError, StateLostError
from hushtally.client_sdk.explain.explanation import Explanation, explain_survey
from hushtally.client_sdk.explain.status import Status
from hushtally.client_sdk.failures import describe_failure
from hushtally.client_sdk.opt_out import opt_out_reason
from hushtally.client_sdk.randomness import Randomness, SystemRandomness
from hushtally.client_sdk.state.consent import Receipt
from hushtally.client_sdk.state.file import State
from hushtally.client_sdk.state.silence import Silence
from hushtally.client_sdk.survey import Survey

logger = logging.getLogger("hushtally")

CLOSE_SECONDS = 2.0  # how long `close` blocks at most

T = TypeVar("T")


@dataclass(frozen=True)
class Fault:
    """A failure that was kept out of the app. It contains nothing that was recorded.

    Attributes:
        during: The name of the method that failed.
        kind: The class of the exception.
        why: What failed, in a few words.
    """

    during: str
    kind: str
    why: str


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


class Client:
    """Records events on this device and answers surveys with randomized reports.

    Nothing is recorded or sent before `grant_consent`. Call `tick` regularly, or `start` once.

    Args:
        surveys: One survey, or several with different ids.
        collector: The URL of the collector. It must be https; plain http is allowed to this machine only.
        state: The path of the state file, an SQLite database. Use ":memory:" in tests.
        cohort: A value for each cohort that the surveys declare. It is sent in the clear.
        device: A local key, for an app that serves several customers from one state file. It never leaves the machine;
            the file stores only a salted hash of it, with or without consent.
        max_epsilon: The most epsilon that the app allows for one report. None means no limit.
        max_lifetime_epsilon: The most epsilon that the app allows for all surveys of a device together. None means no
            limit.
        keep_consent: Let consent cover later versions of a survey, up to `max_lifetime_epsilon`, which is then
            required. Ask the customer again if `hushtally survey diff` says so: a later version may reveal more.
        durable: Write every event to the disk before `record` returns. By default events are written in batches: with
            the 64th event, or with the first call after a second.
        strict: Let `record` raise ClientError for an event, a field or a value that no survey can use. For development.
        on_error: A function that is called with a Fault for every failure. It is not called while a survey is silent,
            for a delivery that is tried again, or for a dropped event; `status` lists these.
        clock: A function that returns the time, with a time zone. For tests.
        randomness: A source of random numbers. For tests.
        transport: A replacement for the network. For tests: see `hushtally.testing`.

    Raises:
        ClientError: An argument is invalid.

    No method raises, except `record` with strict=True: failures are logged and passed to `on_error`.

    Several clients may share a device, for example in two libraries of one app. Each client has its own surveys and
    records events for these only. The ledger and a withdrawal apply to the whole device.

    If the state file cannot be used, the client is silent, and `status` gives the reason. If the file was copied,
    restored or damaged, or separated from its mark file, the device stays silent for the surveys that run now. If the
    file is deleted or replaced while it is open, the client is silent until consent is given or withdrawn; that opens
    the new file.

    DO_NOT_TRACK=1 or HUSHTALLY_DISABLED=1 in the environment stops everything, whatever the customer agreed to.
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
        check_dependencies(clock, on_error, randomness, transport)
        check_ceilings(self._surveys, max_epsilon, max_lifetime_epsilon)
        check_keep_consent(keep_consent, max_lifetime_epsilon)
        asked = list(zip(self._surveys, checked_cohorts(self._surveys, cohort), strict=True))
        url = checked_url(collector)
        self._recording = Recording(self._surveys)
        self._strict = strict
        self._on_error = on_error
        self._silent: str | None = None
        self._device: Device | None = None
        self._closed = False
        randomness = randomness or SystemRandomness()
        self._ticker = Ticker(self.tick, randomness)
        self._started = False
        settings = Settings(max_lifetime_epsilon, keep_consent, durable)
        transport = transport or HttpTransport()
        self._path = State.absolute_path(state)  # the app may change its working directory
        self._create_device: Callable[[], Device] = lambda: Device(
            State.at(self._path), device, asked, url, transport, settings, clock, randomness
        )
        self._open("constructor")

    def grant_consent(self, shown: str | None = None) -> bool:
        """Store that the customer agrees to the surveys. Before this call nothing is recorded or sent.

        Args:
            shown: The text that the customer agreed to, for the receipt. By default the text of `explain`.

        Returns:
            Whether consent to every survey is stored. False has three causes; nothing then tries again by itself.

            - The state file cannot be used. If it could not be opened before, this call tries once more.
            - DO_NOT_TRACK or HUSHTALLY_DISABLED is set, or the client was closed.
            - The device agrees to a newer version of a survey, as while an app is rolled out or back. That consent
              stays; consent to the other surveys is stored.
        """
        self._reopen("grant_consent")
        return self._call("grant_consent", lambda device: device.grant(shown), False)

    def withdraw_consent(self) -> bool:
        """Stop at once, and erase events, answers and unsent reports. Only the decision and the ledger are kept.

        The withdrawal covers every survey that this device ever agreed to, also those that the app no longer has.
        Requests under way are cut off. Two things may still arrive: bytes that the operating system already had, and a
        request of another process.

        Returns:
            Whether the withdrawal is stored and everything is erased. False has three causes.

            - Another process was reading the file. The next `tick` erases the rest.
            - The file could not be written; `on_error` is called. This client then records, answers and sends nothing.
              Every `record`, `tick`, `status` and `grant_consent` tries again, and `close` does so for the last time.
              If `close` fails too, or if the process dies before, consent stands after the next start.
            - The file could not be opened, also not by this call, or the client was closed; `on_error` is called.
              Nothing tries again. Withdraw again later; after `close`, on a new client.
        """
        self._reopen("withdraw_consent")
        return self._call("withdraw_consent", Device.withdraw, False, even_if_opted_out=True)

    def record(self, event: str, /, **fields: SupportsFloat | str) -> None:
        """Record an event on the device, with the day and those of its fields that a survey uses.

        Args:
            event: The name of the event.
            fields: Numbers up to 10^12, including Decimal and numpy numbers, or strings of at most 100 characters. A
                field that a survey sums must be a number. Pass 1 or 0 for a bool.

        Events, fields and values that no survey can use are dropped, counted, and logged once. The log line contains
        only names from the surveys, because a name from the app may reveal something about the customer. With
        strict=True they raise ClientError, which contains the name.

        Before consent nothing is stored or counted; the log says so once, at level INFO. After `close` it warns once.

        If other threads or processes are using the state file, the call waits for a fraction of a second, and then not
        again for a second. The last 64 events stay in memory meanwhile; earlier ones are dropped and counted.
        """
        if self._strict:
            self._recording.check(event, fields)
        if self._closed:
            self._recording.warn_closed()
            return
        # reading the environment takes longer than everything else here, so that is done when the event is written
        record = self._recording.record
        self._call("record", lambda device: record(device, event, fields), None, even_if_opted_out=True)

    def tick(self, timeout: float = TICK_SECONDS) -> None:
        """Make the answers that are due, and try once to send the reports whose time has come.

        Call it from a timer, so that its time reveals nothing about the customer. A report is sent at a random moment
        of its epoch, or with the first tick after that moment.

        Args:
            timeout: How many seconds a slow collector may delay the call. A collector that failed is not tried again
                for a while; then the call does not wait.
        """
        # if the customer opted out, a tick still deletes old events
        self._call("tick", lambda device: device.tick(timeout), None, even_if_opted_out=True)

    def flush(self, timeout: float = 5.0) -> bool:
        """Send the reports that are due, for at most `timeout` seconds.

        A report is due when its random moment has come. Other reports wait, as `status().waiting` shows.

        Args:
            timeout: The number of seconds after which the call returns, whatever hangs. A request that is still under
                way then continues in the background.

        Returns:
            True if no report that is due is left, False if one is left or if that is unknown.
        """
        if not isinstance(timeout, int | float):
            self._report(
                "flush",
                ClientError("timeout must be a number of seconds"),
                f"flush: timeout must be a number of seconds, got {type(timeout).__name__}",
            )
            return False
        sent = self._run_within(timeout, lambda: self._call("flush", lambda one: one.send(timeout, wait=True), False))
        return sent is True

    def start(self) -> None:
        """Start a background thread that calls `tick` until `close`.

        A thread does not survive a fork. In a forked process the thread starts with the first call of any method.
        """
        self._started = True
        self._ticker.ensure_running()

    def explain(self) -> Explanation:
        """Return what the surveys ask, why, what leaves the device, what that reveals, and what was spent.

        Print the explanation, or build a settings page from its `as_dict()`. Several surveys follow one another.
        """
        parts = self._read("explain", Device.explain, None) or tuple(
            explain_survey(survey, stopped=self._why_silent()) for survey in self._surveys
        )
        if len(parts) == 1:
            return parts[0]
        return Explanation(
            " · ".join(part.title for part in parts), tuple(section for part in parts for section in part.sections)
        )

    def status(self) -> Status:
        """Return the state of each survey, how many reports wait, and what was delivered or dropped, and why.

        The status contains no value. After `close` it is read from the file: consent that was given still stands.
        """
        status = self._read("status", Device.status, None)
        if status is None:
            return Status.unreadable(self._surveys, self._why_silent())
        return status.silenced(self._why_silent()) if self._device is None else status

    def receipts(self) -> tuple[Receipt, ...]:
        """Return the customer's last decision about each survey: which version, when, and the text shown."""
        return self._read("receipts", Device.receipts, ())

    def close(self) -> None:
        """Stop the background thread and write what is in memory. Unsent reports wait for the next start.

        The last client of a state file closes the file. The call blocks for two seconds at most; if something is not
        written by then, `on_error` is called. It may be called again.
        """
        self._closed = True
        self._started = False
        self._ticker.stop(CLOSE_SECONDS / 2)
        device = self._device
        if device is None:
            return

        def close() -> bool:
            self._call("close", Device.close, None, even_if_opted_out=True)
            return True

        if device.is_idle:
            close()  # starting a thread would take longer, and a kiosk closes many devices
        elif not self._run_within(CLOSE_SECONDS / 2, close):
            self._report("close", StateError("not everything was written within a second"))
        self._device = None
        self._silent = self._silent or str(Silence.CLOSED)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self, during: str) -> None:
        """Open the state file; if that fails, the client is silent."""
        try:
            self._device, self._silent = self._create_device(), None
        except Exception as error:  # a damaged file may contain anything
            why = describe_failure(error)
            self._silent = why if isinstance(error, StateError) else f"the state file cannot be used: {why}"
            self._report(during, error, f"silent: {self._silent}")

    def _reopen(self, during: str) -> None:
        """Try again to open a file that could not be opened, so that the customer's decision is not lost."""
        if self._closed:
            self._report(
                during, StateError("the client was closed"), f"{during}: the client was closed; nothing is stored"
            )
            return
        self._call(during, Device.require_file, None, even_if_opted_out=True)
        if self._device is None:
            self._open(during)

    def _why_silent(self) -> str:
        """Why nothing is done while there is no device, or while it cannot be read."""
        return opt_out_reason() or self._silent or str(Silence.UNREADABLE)

    def _call(self, during: str, action: Callable[[Device], T], default: T, *, even_if_opted_out: bool = False) -> T:
        """Return what `action` returns for the device; report a failure and return `default`."""
        device = self._device
        if device is None or (not even_if_opted_out and opt_out_reason()):
            return default
        try:
            if self._started:
                self._ticker.ensure_running()
            return action(device)
        except StateLostError as error:
            device.abandon()
            if self._device is device:
                self._device, self._silent = None, str(error)
            self._report(during, error, f"silent: {error}")
        except Exception as error:
            self._report(during, error)
        return default

    def _read(self, during: str, action: Callable[[Device], T], default: T) -> T:
        """Like `_call`, also if the customer opted out. After `close` the file is opened for a moment."""
        if self._device is not None or not (self._closed and State.exists_at(self._path)):
            return self._call(during, action, default, even_if_opted_out=True)
        try:
            return action(self._create_device())
        except Exception as error:
            self._report(during, error)
            return default

    def _run_within(self, seconds: float, action: Callable[[], T]) -> T | None:
        """Return what `action` returns within the time, else None; a disk, lock or name lookup may hang."""
        outcome: list[T] = []
        thread = threading.Thread(target=lambda: outcome.append(action()), name="hushtally-call", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the interpreter is shutting down, or the system has no thread left
            return action()
        thread.join(min(max(0.0, seconds), threading.TIMEOUT_MAX))
        return outcome[0] if outcome else None

    def _report(self, during: str, error: Exception, message: str | None = None) -> None:
        """Log a failure and pass it to `on_error`."""
        why = describe_failure(error)
        logger.error("%s", message or f"{during} failed: {why}")
        if self._on_error is not None:
            try:
                self._on_error(Fault(during, type(error).__name__, why))
            except Exception as another:
                logger.error("on_error failed: %s", describe_failure(another))
