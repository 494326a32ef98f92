"""The gateway that an app embeds for many customers: one object for all devices of one state file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from os import PathLike
from typing import SupportsFloat, TypeVar

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
from hushtally.client_sdk.device.devices import Devices, KeyedDevice
from hushtally.client_sdk.device.embedding import Embedding, Fault
from hushtally.client_sdk.device.file_user import Settings
from hushtally.client_sdk.device.recording import Recording
from hushtally.client_sdk.explain.explanation import Explanation, explain_survey
from hushtally.client_sdk.explain.status import Status
from hushtally.client_sdk.randomness import Randomness, SystemRandomness
from hushtally.client_sdk.state.consent import Receipt
from hushtally.client_sdk.state.file import State
from hushtally.client_sdk.state.opt_out import opt_out_reason
from hushtally.client_sdk.survey import Survey

MAX_KNOWN_COHORTS = 10_000  # valid cohorts that a gateway remembers

T = TypeVar("T")


class Gateway(Embedding[Devices]):
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
        self._valid_cohorts: set[tuple[tuple[str, str], ...]] = set()
        randomness = randomness or SystemRandomness()
        settings = Settings(max_lifetime_epsilon, keep_consent, durable)
        transport = transport or HttpTransport()
        path = State.absolute_path(state)  # the app may change its working directory
        super().__init__(
            lambda: Devices(State.at(path), self._surveys, url, transport, settings, clock, randomness),
            on_error,
            randomness,
        )

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
        return GatewayDevice(self, key, None if cohort is None else dict(cohort))

    def counters(self) -> dict[str, int]:
        """Return what was delivered or dropped, and why, of all devices together. It contains no recorded value."""
        read = partial(self._call, "counters", Devices.counters, None, even_if_opted_out=True)
        return calls.run(read, lambda: None) or {}

    def _check_cohort(self, cohort: Mapping[str, str]) -> None:
        """Raise ClientError for a cohort that the surveys do not declare; most customers share a few cohorts."""
        try:
            known: tuple[tuple[str, str], ...] | None = tuple(cohort.items())
            if known in self._valid_cohorts:
                return
        except (AttributeError, TypeError):
            known = None
        checked_cohorts(self._surveys, cohort)
        if known is not None and len(self._valid_cohorts) < MAX_KNOWN_COHORTS:
            self._valid_cohorts.add(known)


class GatewayDevice:
    """The device of one customer, created with `Gateway.device`. Its methods are those of `Client`."""

    __slots__ = ("_cohort", "_gateway", "_key")

    def __init__(self, gateway: Gateway, key: str, cohort: Mapping[str, str] | None) -> None:
        self._gateway = gateway
        self._key = key
        self._cohort = cohort

    def grant_consent(self, shown: str | None = None) -> bool:
        """See `Client.grant_consent`."""
        return calls.run(partial(self._grant, shown), partial(self._gateway._refuse, "grant_consent"))

    def withdraw_consent(self) -> bool:
        """See `Client.withdraw_consent`. In the middle of another call of this thread, it is done after that call."""
        return calls.run(self._withdraw, self._withdraw_later)

    def record(self, event: str, /, **fields: SupportsFloat | str) -> None:
        """See `Client.record`."""
        if self._gateway._strict:
            self._gateway._recording.check(event, fields)
        calls.run(partial(self._record, event, fields), partial(self._record_later, event, fields))

    def explain(self) -> Explanation:
        """See `Client.explain`."""
        gateway = self._gateway
        read = partial(self._call, "explain", KeyedDevice.explain, None)
        parts = calls.run(read, lambda: None) or tuple(
            explain_survey(survey, stopped=gateway._why_silent()) for survey in gateway._surveys
        )
        return Explanation.joined(parts)

    def status(self) -> Status:
        """See `Client.status`."""
        gateway = self._gateway
        status = calls.run(partial(self._call, "status", KeyedDevice.status, None), lambda: None)
        return status or Status.unreadable(gateway._surveys, gateway._why_silent())

    def receipts(self) -> tuple[Receipt, ...]:
        """See `Client.receipts`."""
        nothing: tuple[Receipt, ...] = ()
        return calls.run(partial(self._call, "receipts", KeyedDevice.receipts, nothing), lambda: nothing)

    def _grant(self, shown: str | None) -> bool:
        self._gateway._reopen("grant_consent")
        return not opt_out_reason() and self._call("grant_consent", lambda device: device.grant(shown), False)

    def _withdraw(self) -> bool:
        self._gateway._reopen("withdraw_consent")
        return self._call("withdraw_consent", KeyedDevice.withdraw, False)

    def _withdraw_later(self) -> bool:
        """Stop at once, and erase when the outer call has ended."""
        devices = self._gateway._core
        if devices is not None:
            devices.stop(self._key)
        calls.defer(self.withdraw_consent)
        return False

    def _record(self, event: str, fields: Mapping[str, object]) -> None:
        gateway = self._gateway
        if gateway._closed:
            gateway._recording.warn_closed()
            return
        self._call("record", lambda device: gateway._recording.record(device, event, fields), None)

    def _record_later(self, event: str, fields: Mapping[str, object]) -> None:
        calls.defer(lambda: calls.run(partial(self._record, event, fields), lambda: None))

    def _call(self, during: str, action: Callable[[KeyedDevice], T], default: T) -> T:
        """Return what `action` returns for the device, even if the customer opted out; see `Embedding`."""
        key, cohort = self._key, self._cohort
        return self._gateway._call(
            during, lambda devices: action(devices.device(key, cohort)), default, even_if_opted_out=True
        )
