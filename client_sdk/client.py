"""The client that an app embeds: it records on the device, answers at random, and sends only that."""

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
    check_kept_consent,
    check_state,
    check_switches,
    given_cohorts,
    given_surveys,
)
from hushtally.client_sdk.clock import utc_now
from hushtally.client_sdk.delivery.http import HttpTransport
from hushtally.client_sdk.delivery.transport import Transport
from hushtally.client_sdk.delivery.url import checked_url
from hushtally.client_sdk.device.device import TICK_SECONDS, Device, Terms
from hushtally.client_sdk.device.recording import Recording
from hushtally.client_sdk.device.ticker import Ticker
from hushtally.client_sdk.errors import ClientError, StateError, StateLostError
from hushtally.client_sdk.explain.explanation import Explanation, explain_survey
from hushtally.client_sdk.explain.status import Status
from hushtally.client_sdk.failures import describe_failure
from hushtally.client_sdk.opt_out import switched_off
from hushtally.client_sdk.randomness import Randomness, SystemRandomness
from hushtally.client_sdk.state.consent import Receipt
from hushtally.client_sdk.state.file import State
from hushtally.client_sdk.state.silence import Silence
from hushtally.client_sdk.survey import Survey

logger = logging.getLogger("hushtally")

CLOSE_SECONDS = 2.0

T = TypeVar("T")


@dataclass(frozen=True)
class Fault:
    """A failure that was kept out of the app: in which call, of what kind and why; nothing recorded is in it."""

    during: str
    kind: str
    why: str


class Options(TypedDict, total=False):
    """What `Client` takes beside its surveys: see there."""

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
    """Counts on this device, and answers surveys at random.

    surveys: one survey or several. collector: its URL, https (plain http to loopback only). state: the path of the one
    SQLite file, or ":memory:" for tests. cohort: one declared value for every cohort of the surveys, sent in the clear.
    device: a local key that keeps several customers apart in one state file; it never leaves, and of it a salted hash
    is kept there, from the first client on, consent or not. Several clients of one device, as of two libraries in an
    app, each have surveys of their own, and an event is kept for those of the client that records it; ledger and
    withdrawals are the device's.

    max_epsilon, max_lifetime_epsilon: the app's own ceilings for one report and for all surveys together; None: no
    limit of its own. keep_consent: consent outlives a new version of a survey, up to max_lifetime_epsilon, which it
    needs. That goes for a version that reveals more, too: ask again where `hushtally survey diff` says so. durable:
    every event is on the disk when `record` returns, or `on_error` is told. Else it gets there with the 64th event, or
    with the first call a second later. strict: `record` raises for what no survey names and for values that cannot be
    kept. on_error: told of every failure that is kept out of the app; of silence, of deliveries that are tried again
    and of what is dropped `status` tells. clock, randomness and transport are for tests.

    Raises ClientError for what the app cannot mean. After construction nothing raises into the app, `record` with
    strict=True aside. Where the state file cannot be used the client is silent, and `status` says why. Where it was
    copied, restored or damaged, or parted from the mark beside it, the device stays silent for the rest of its surveys.
    Where it was deleted or replaced while it was open, giving or withdrawing consent opens what is there then.
    DO_NOT_TRACK=1 and HUSHTALLY_DISABLED=1 in the environment win over all.
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
        self._surveys = given_surveys(surveys)
        check_state(state)
        check_device(device)
        check_switches(keep_consent=keep_consent, durable=durable, strict=strict)
        check_dependencies(clock, on_error, randomness, transport)
        check_ceilings(self._surveys, max_epsilon, max_lifetime_epsilon)
        check_kept_consent(keep_consent, max_lifetime_epsilon)
        asked = list(zip(self._surveys, given_cohorts(self._surveys, cohort), strict=True))
        url = checked_url(collector)
        self._recording = Recording(self._surveys)
        self._strict = strict
        self._on_error = on_error
        self._unusable: str | None = None
        self._device: Device | None = None
        self._closed = False
        randomness = randomness or SystemRandomness()
        self._ticker = Ticker(self.tick, randomness)
        self._started = False
        terms = Terms(max_lifetime_epsilon, keep_consent, durable)
        transport = transport or HttpTransport()
        self._place = State.place(state)  # an app may change its folder
        self._make: Callable[[], Device] = lambda: Device(
            State.at(self._place), device, asked, url, transport, terms, clock, randomness
        )
        self._open("constructor")

    def _open(self, doing: str) -> None:
        """Opens the state; where it cannot be, the client is silent."""
        try:
            self._device, self._unusable = self._make(), None
        except Exception as error:  # a damaged file can hold anything
            why = describe_failure(error)
            self._unusable = why if isinstance(error, StateError) else f"the state file cannot be used: {why}"
            self._tell(doing, error, f"silent: {self._unusable}")

    def grant_consent(self, shown: str | None = None) -> bool:
        """Notes that the customer agrees to the surveys; before this nothing is recorded and nothing sent.

        shown: the text on which they agreed, for the receipt; by default what `explain` says of each survey.

        Returns whether it is noted in the file. False where the file cannot be used, with DO_NOT_TRACK or
        HUSHTALLY_DISABLED set, and after `close`: nothing tries it again. False also where the device agrees to a newer
        version of a survey, as while an app is rolled out or back: that consent stays as it is, and what is agreed to
        of other surveys is noted. A file that could not be opened before is tried once more.
        """

        self._reopen("grant_consent")
        return self._run("grant_consent", lambda device: device.grant(shown), False)

    def withdraw_consent(self) -> bool:
        """Stops, and erases events, answers and outbox from the file; keeps the fact and the epsilon spent.

        That goes for every survey that this device ever agreed to, also those that the app has no longer. Requests
        under way are cut off. Two things may still arrive: what the system had already been given to send, and what
        another process is just sending.

        Returns whether it is noted and all of it erased. False means one of these:

        - Another process was just reading what is to be erased. The next `tick` erases it.
        - The file could not be written; `on_error` is told. This client then records, answers and sends nothing. Every
          `record`, `tick`, `status` and `grant_consent` tries again, at last `close`. If `close` fails too, or the
          process dies before, the file knows of no withdrawal: after the next start consent stands, until withdrawn
          again.
        - The file could not be opened, which is tried once more, or the client was closed; `on_error` is told. Nothing
          tries again: call it once more, after `close` on a new client.
        """
        self._reopen("withdraw_consent")
        return self._run("withdraw_consent", Device.withdraw, False, even_if_off=True)

    def _reopen(self, doing: str) -> None:
        """What a customer says is not lost because the file could not be opened before: it is tried again, or told."""
        if self._closed:
            self._tell(doing, StateError("the client was closed"), f"{doing} after close: nothing is noted")
            return
        self._run(doing, Device.require_file, None, even_if_off=True)
        if self._device is None:
            self._open(doing)

    def record(self, event: str, /, **fields: SupportsFloat | str) -> None:
        """Keeps an event on the device, with the day and those fields that a survey names.

        What no survey names is dropped, counted, and warned about once. The warning does not hold the name, which may
        tell of the customer; with strict=True, for development, ClientError does. Field values are numbers within
        10^12, also Decimals and those of numpy, or, where no survey sums them, texts of at most 100 characters. Others
        are dropped in the same way, bools among them: pass 1 or 0.

        Before consent nothing is kept or counted; the log says so once, at INFO. After `close` it warns once.

        Where others hold the state file, it waits for a fraction of a second, and that once a second at most. The last
        64 events are then kept in memory; those before are dropped and counted.
        """
        if self._strict:
            self._recording.check(event, fields)
        if self._closed:
            self._recording.warn_closed()
            return
        # the switches are asked for where it is written: to ask the environment takes longer than all else here
        self._run("record", lambda device: self._recording.record(device, event, fields), None, even_if_off=True)

    def tick(self, timeout: float = TICK_SECONDS) -> None:
        """Makes the answers that are due and tries once to send those whose time has come; to be called now and then.

        An answer is sent at a random moment of its epoch, or at the first tick after it. Tick by a timer, so that the
        time tells nothing of the customer. A slow collector holds up the call for `timeout` seconds at most. One that
        failed is left alone for a while; a tick then does not wait for it at all.
        """

        self._run(
            "tick", lambda device: device.tick(timeout), None, even_if_off=True
        )  # then it only deletes what was kept for long enough

    def flush(self, timeout: float = 5.0) -> bool:
        """Sends the answers that are due, for at most `timeout` seconds; whether it is known that none of them is left.

        An answer is due once its random moment has come. Others wait, as `status().waiting` says, and do not count
        here. The call never blocks longer, whatever hangs: what is under way then goes on in the background.
        """
        if not isinstance(timeout, int | float):
            self._tell(
                "flush",
                ClientError("timeout must be seconds"),
                f"flush: timeout must be seconds, got {type(timeout).__name__}",
            )
            return False
        done = self._within(timeout, lambda: self._run("flush", lambda one: one.send(timeout, wait=True), False))
        return done is True

    def start(self) -> None:
        """Ticks from a background thread until `close`.

        No thread outlives a fork: in a process forked later it begins with the first call of the client, as of `start`.
        """
        self._started = True
        self._ticker.wake()

    def explain(self) -> Explanation:
        """In plain language: what is asked, why, what leaves the device, what that tells, what was spent.

        Print it, or build a settings page from its `as_dict()`. Of several surveys one follows the other.
        """
        parts = self._look("explain", Device.explain, None) or tuple(
            explain_survey(survey, stopped=self._why_silent()) for survey in self._surveys
        )
        if len(parts) == 1:
            return parts[0]
        return Explanation(
            " · ".join(part.title for part in parts), tuple(section for part in parts for section in part.sections)
        )

    def status(self) -> Status:
        """How each survey stands, what waits, and what was delivered, dropped and why; no value is in it.

        After `close` it is read from the file: who agreed still does, and need not be asked again.
        """
        status = self._look("status", Device.status, None)
        if status is None:
            return Status.unreadable(self._surveys, self._why_silent())
        return status.silenced(self._why_silent()) if self._device is None else status

    def _why_silent(self) -> str:
        """Why nothing is done, where the device is closed or cannot be read."""
        return switched_off() or self._unusable or str(Silence.UNREADABLE)

    def receipts(self) -> tuple[Receipt, ...]:
        """The customer's standing answers: to which survey and version, when, and on which text."""
        return self._look("receipts", Device.receipts, ())

    def close(self) -> None:
        """Ends the background thread and writes what is in memory; what waits is kept for the next start.

        The last client on a state file closes it. It blocks for two seconds at most; `on_error` is told if not all was
        written by then. It may be called again.
        """
        self._closed = True
        self._started = False
        self._ticker.stop(CLOSE_SECONDS / 2)
        device = self._device
        if device is None:
            return

        def close() -> bool:
            self._run("close", Device.close, None, even_if_off=True)
            return True

        if device.idle:
            close()  # a thread takes longer than all else here, and a kiosk closes one device after the other
        elif not self._within(CLOSE_SECONDS / 2, close):
            self._tell("close", StateError("not all was written within a second"))
        self._device = None
        self._unusable = self._unusable or str(Silence.CLOSED)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, doing: str, action: Callable[[Device], T], otherwise: T, *, even_if_off: bool = False) -> T:
        """Does something on the device; what fails is kept out of the app, and why is told."""
        device = self._device
        if device is None or (not even_if_off and switched_off()):
            return otherwise
        try:
            if self._started:
                self._ticker.wake()
            return action(device)
        except StateLostError as error:
            device.leave()
            if self._device is device:
                self._device, self._unusable = None, str(error)
            self._tell(doing, error, f"silent: {error}")
        except Exception as error:
            self._tell(doing, error)
        return otherwise

    def _look(self, doing: str, action: Callable[[Device], T], otherwise: T) -> T:
        """What is told of the device, also where it is switched off or closed: then the file is opened for a moment."""
        if self._device is not None or not (self._closed and State.is_at(self._place)):
            return self._run(doing, action, otherwise, even_if_off=True)
        try:
            return action(self._make())
        except Exception as error:
            self._tell(doing, error)
            return otherwise

    def _within(self, seconds: float, action: Callable[[], T]) -> T | None:
        """What `action` returns within the time, else None: no disk, lock or name service can be told to hurry."""
        outcome: list[T] = []
        thread = threading.Thread(target=lambda: outcome.append(action()), name="hushtally-call", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the interpreter is shutting down, or has no thread left
            return action()
        thread.join(min(max(0.0, seconds), threading.TIMEOUT_MAX))
        return outcome[0] if outcome else None

    def _tell(self, doing: str, error: Exception, what: str | None = None) -> None:
        why = describe_failure(error)
        logger.error("%s", what or f"{doing} failed: {why}")
        if self._on_error is not None:
            try:
                self._on_error(Fault(doing, type(error).__name__, why))
            except Exception as another:
                logger.error("on_error failed: %s", describe_failure(another))
