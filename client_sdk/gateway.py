"""The gateway that an app embeds for many customers: one object for all devices of one state file."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from os import PathLike
from types import TracebackType
from typing import Self, SupportsFloat, TypeVar

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
from hushtally.client_sdk.client import CLOSE_SECONDS, Fault
from hushtally.client_sdk.clock import utc_now
from hushtally.client_sdk.delivery.http import HttpTransport
from hushtally.client_sdk.delivery.transport import Transport
from hushtally.client_sdk.delivery.url import checked_url
from hushtally.client_sdk.device.device import TICK_SECONDS, Settings
from hushtally.client_sdk.device.devices import Devices, KeyedDevice
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

T = TypeVar("T")


class Gateway:
    """Records events of many customers on this machine, each on a device of its own, and answers for all of them.

    Create one gateway in each process, and one `device` in each request. Call `tick` from a timer, or `start` once.

    Args:
        surveys: One survey, or several with different ids.
        collector: The URL of the collector; see `Client`.
        state: The path of the state file that holds all devices.
        max_epsilon, max_lifetime_epsilon, keep_consent, durable, strict, on_error, clock, randomness, transport: See
            `Client`. The ceilings are those of each device.

    Raises:
        ClientError: An argument is invalid.

    The methods do not raise, except `device` for an invalid argument, and `record` with strict=True. They are safe in
    threads and in forked processes, and several processes may share the file.

    The reports of many devices leave in common batches, in an order that reveals nothing. A withdrawal removes a report
    that waits. If a batch was tried and it is unknown whether it arrived, the batch is repeated unchanged. Then it may
    contain a report of a customer who withdrew meanwhile, and nothing in the file connects them any more.
    """

    def __init__(
        self,
        surveys: Survey | Iterable[Survey],
        *,
        collector: str,
        state: str | PathLike[str],
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
        check_flags(keep_consent=keep_consent, durable=durable, strict=strict)
        clock = checked_clock(clock)
        check_dependencies(on_error, randomness, transport)
        check_ceilings(self._surveys, max_epsilon, max_lifetime_epsilon)
        check_keep_consent(keep_consent, max_lifetime_epsilon)
        url = checked_url(collector)
        self._recording = Recording(self._surveys)
        self._strict = strict
        self._on_error = on_error
        self._silent: str | None = None
        self._devices: Devices | None = None
        self._closed = False
        randomness = randomness or SystemRandomness()
        self._ticker = Ticker(self.tick, randomness)
        self._started = False
        self._checked: set[tuple[tuple[str, str], ...]] = set()  # cohorts that were found valid
        settings = Settings(max_lifetime_epsilon, keep_consent, durable)
        transport = transport or HttpTransport()
        self._path = State.absolute_path(state)  # the app may change its working directory
        self._create: Callable[[], Devices] = lambda: Devices(
            State.at(self._path), self._surveys, url, transport, settings, clock, randomness
        )
        self._open("constructor")

    def device(self, key: str, cohort: Mapping[str, str] | None = None) -> GatewayDevice:
        """Return the device of one customer. This takes microseconds; the state file is read with the first use.

        Args:
            key: A local key. It never leaves the machine; the file stores only a salted hash of it.
            cohort: A value for each cohort that the surveys declare, sent in the clear. It is stored with consent and
                with an event, if it changed. None keeps what was stored.

        Raises:
            ClientError: An argument is invalid.
        """
        check_device(key)
        if cohort is not None:
            self._check_cohort(cohort)
        return GatewayDevice(self, key, cohort)

    def _check_cohort(self, cohort: Mapping[str, str]) -> None:
        try:
            known = tuple(cohort.items())
            if known in self._checked:
                return
        except (AttributeError, TypeError):
            known = None
        checked_cohorts(self._surveys, cohort)
        if known is not None and len(self._checked) < 10_000:
            self._checked.add(known)

    def tick(self, timeout: float = TICK_SECONDS) -> None:
        """Make the answers of all devices that are due, and try once to send the reports that are due.

        Call `tick` from a timer, so that the time of the call reveals nothing about a customer. Each report gets a
        random moment in its epoch, and the first tick after that moment sends the report.

        Args:
            timeout: How many seconds a slow collector may delay the call.
        """
        self._call("tick", lambda devices: devices.tick(timeout), None, even_if_opted_out=True)

    def flush(self, timeout: float = 5.0) -> bool:
        """Send the reports of all devices that are due, for at most `timeout` seconds; see `Client.flush`."""
        if not isinstance(timeout, int | float):
            self._report(
                "flush",
                ClientError("timeout must be a number of seconds"),
                f"flush: timeout must be a number of seconds, got {type(timeout).__name__}",
            )
            return False
        sent = self._run_within(timeout, lambda: self._call("flush", lambda all: all.send(timeout, wait=True), False))
        return sent is True

    def start(self) -> None:
        """Start a background thread that calls `tick` until `close`; see `Client.start`."""
        self._started = True
        self._ticker.ensure_running()

    def close(self) -> None:
        """Stop the background thread and write everything that is in memory; see `Client.close`."""
        self._closed = True
        self._started = False
        self._ticker.stop(CLOSE_SECONDS / 2)
        devices = self._devices
        if devices is None:
            return

        def close() -> bool:
            self._call("close", Devices.close, None, even_if_opted_out=True)
            return True

        if devices.is_idle:
            close()
        elif not self._run_within(CLOSE_SECONDS / 2, close):
            self._report("close", StateError("not everything was written within a second"))
        self._devices = None
        self._silent = self._silent or str(Silence.CLOSED)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self, during: str) -> None:
        """Open the state file; if that fails, the gateway is silent."""
        try:
            self._devices, self._silent = self._create(), None
        except Exception as error:  # a damaged file may contain anything
            why = describe_failure(error)
            self._silent = why if isinstance(error, StateError) else f"the state file cannot be used: {why}"
            self._report(during, error, f"silent: {self._silent}")

    def _reopen(self, during: str) -> None:
        """Try again to open a file that could not be opened, so that the customer's decision is not lost."""
        if self._closed:
            self._report(
                during, StateError("the client was closed"), f"{during}: the gateway was closed; nothing is stored"
            )
            return
        self._call(during, Devices.require_file, None, even_if_opted_out=True)
        if self._devices is None:
            self._open(during)

    def _why_silent(self) -> str:
        return opt_out_reason() or self._silent or str(Silence.UNREADABLE)

    def _call(self, during: str, action: Callable[[Devices], T], default: T, *, even_if_opted_out: bool = False) -> T:
        """Return what `action` returns for the devices; report a failure and return `default`."""
        devices = self._devices
        if devices is None or (not even_if_opted_out and opt_out_reason()):
            return default
        try:
            if self._started:
                self._ticker.ensure_running()
            return action(devices)
        except StateLostError as error:
            devices.abandon()
            if self._devices is devices:
                self._devices, self._silent = None, str(error)
            self._report(during, error, f"silent: {error}")
        except Exception as error:
            self._report(during, error)
        return default

    def _run_within(self, seconds: float, action: Callable[[], T]) -> T | None:
        """Return the result of `action`, or None after `seconds`; a disk, a lock or a name lookup may hang."""
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


class GatewayDevice:
    """The device of one customer, created with `Gateway.device`. Its methods are those of `Client`."""

    __slots__ = ("_cohort", "_gateway", "_key")

    def __init__(self, gateway: Gateway, key: str, cohort: Mapping[str, str] | None) -> None:
        self._gateway = gateway
        self._key = key
        self._cohort = cohort

    def grant_consent(self, shown: str | None = None) -> bool:
        """See `Client.grant_consent`."""
        self._gateway._reopen("grant_consent")
        return self._call("grant_consent", lambda device: device.grant(shown), False)

    def withdraw_consent(self) -> bool:
        """See `Client.withdraw_consent`."""
        self._gateway._reopen("withdraw_consent")
        return self._call("withdraw_consent", KeyedDevice.withdraw, False, even_if_opted_out=True)

    def record(self, event: str, /, **fields: SupportsFloat | str) -> None:
        """See `Client.record`."""
        recording = self._gateway._recording
        if self._gateway._strict:
            recording.check(event, fields)
        if self._gateway._closed:
            recording.warn_closed()
            return
        self._call("record", lambda device: recording.record(device, event, fields), None, even_if_opted_out=True)

    def explain(self) -> Explanation:
        """See `Client.explain`."""
        gateway = self._gateway
        parts = self._call("explain", KeyedDevice.explain, None, even_if_opted_out=True) or tuple(
            explain_survey(survey, stopped=gateway._why_silent()) for survey in gateway._surveys
        )
        return Explanation.joined(parts)

    def status(self) -> Status:
        """See `Client.status`."""
        gateway = self._gateway
        status = self._call("status", KeyedDevice.status, None, even_if_opted_out=True)
        return status or Status.unreadable(gateway._surveys, gateway._why_silent())

    def receipts(self) -> tuple[Receipt, ...]:
        """See `Client.receipts`."""
        return self._call("receipts", KeyedDevice.receipts, (), even_if_opted_out=True)

    def _call(
        self, during: str, action: Callable[[KeyedDevice], T], default: T, *, even_if_opted_out: bool = False
    ) -> T:
        key, cohort = self._key, self._cohort
        return self._gateway._call(
            during, lambda all: action(all.device(key, cohort)), default, even_if_opted_out=even_if_opted_out
        )
