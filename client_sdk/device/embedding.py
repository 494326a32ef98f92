"""What an app embeds: opens the state file, keeps failures out of the app, and ticks in the background."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from hushtally.client_sdk import calls
from hushtally.client_sdk.device.device import TICK_SECONDS
from hushtally.client_sdk.device.ticker import Ticker
from hushtally.client_sdk.errors import ClientError, StateError, StateLostError
from hushtally.client_sdk.failures import describe_failure
from hushtally.client_sdk.randomness import Randomness
from hushtally.client_sdk.state.opt_out import opt_out_reason
from hushtally.client_sdk.state.silence import Silence

logger = logging.getLogger("hushtally")

CLOSE_SECONDS = 2.0  # the longest time that `close` blocks

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


class Core(Protocol):
    """What an embedding protects the app from: its methods raise."""

    def tick(self, seconds: float) -> None:
        """Make the answers that are due, then send for at most `seconds`."""

    def send(self, seconds: float, *, wait: bool = False) -> bool:
        """Send the reports that are due; return whether all of them are settled."""

    def require_file(self) -> None:
        """Raise StateLostError if the file was deleted or replaced."""

    def abandon(self) -> None:
        """Release a lost file."""

    @property
    def is_idle(self) -> bool:
        """Whether `close` has nothing to write."""

    def close(self) -> None:
        """Write everything that is in memory, and release the file."""


C = TypeVar("C", bound=Core)


class Embedding(Generic[C]):
    """The part that a client and a gateway share. `close` it, or use it in a `with` statement."""

    def __init__(
        self, create: Callable[[], C], on_error: Callable[[Fault], None] | None, randomness: Randomness
    ) -> None:
        self._create = create
        self._on_error = on_error
        self._core: C | None = None
        self._silent: str | None = None
        self._closed = False
        self._ticker = Ticker(self.tick, randomness)
        self._started = False
        self._opens_later = False
        calls.run(lambda: self._open("constructor"), self._open_later)

    def tick(self, timeout: float = TICK_SECONDS) -> None:
        """Make the answers that are due, and try once to send the reports that are due.

        Call `tick` from a timer, so that the time of the call reveals nothing about the customer. Each report gets a
        random moment in its epoch, and the first tick after that moment sends the report.

        Args:
            timeout: How many seconds a slow collector may delay the call. After a failure, the collector is not tried
                again for a while, and the call does not wait.
        """
        # if the customer opted out, a tick still deletes old events
        tick = partial(self._call, "tick", lambda core: core.tick(timeout), None, even_if_opted_out=True)
        calls.run(tick, lambda: None)

    def flush(self, timeout: float = 5.0) -> bool:
        """Send the reports that are due, for at most `timeout` seconds.

        A report is due when its random moment has come. Other reports wait, as `status().waiting` shows.

        Args:
            timeout: The number of seconds after which the call returns, even if the disk or the network hangs. A
                request that is still in progress continues in the background.

        Returns:
            True if every report that is due was sent. False if a report is left, or if this is unknown.
        """
        if not isinstance(timeout, int | float):
            self._report(
                "flush",
                ClientError("timeout must be a number of seconds"),
                f"flush: timeout must be a number of seconds, got {type(timeout).__name__}",
            )
            return False
        send = partial(self._call, "flush", lambda core: core.send(timeout, wait=True), False)
        return calls.run(lambda: self._run_within(timeout, send) is True, lambda: False)

    def start(self) -> None:
        """Start a background thread that calls `tick` until `close`, first after a second.

        A thread does not survive a fork. In a forked process the thread starts with the first call of any method.
        """
        self._started = True
        calls.run(self._ticker.ensure_running, lambda: None)  # a re-entrant call leaves it to the next call

    def close(self) -> None:
        """Stop the background thread and write everything that is in memory. Unsent reports wait for the next start.

        The last client of a state file closes the file. The call blocks for two seconds at most. If something is not
        written by then, `on_error` is called. You may call `close` more than once.
        """
        calls.run(self._close, partial(calls.defer, self.close))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self, during: str) -> None:
        """Open the state file; if that fails, nothing is recorded or sent."""
        self._opens_later = False
        try:
            self._core, self._silent = self._create(), None
        except Exception as error:  # a damaged file may contain anything
            why = describe_failure(error)
            self._silent = why if isinstance(error, StateError) else f"the state file cannot be used: {why}"
            self._report(during, error, f"silent: {self._silent}")

    def _open_later(self) -> None:
        self._opens_later = calls.defer(lambda: calls.run(lambda: self._open("constructor"), lambda: None))

    def _reopen(self, during: str) -> None:
        """Try again to open a file that could not be opened, so that the customer's decision is not lost."""
        if self._closed:
            self._report(
                during, StateError("the client was closed"), f"{during}: the client was closed; nothing is stored"
            )
            return
        self._call(during, lambda core: core.require_file(), None, even_if_opted_out=True)
        if self._core is None:
            self._open(during)

    def _close(self) -> None:
        self._closed = True
        self._started = False
        self._ticker.stop(CLOSE_SECONDS / 2)
        core = self._core
        if core is None:
            return

        def close() -> bool:
            self._call("close", lambda core: core.close(), None, even_if_opted_out=True)
            return True

        if core.is_idle:
            close()  # without a thread, because starting one takes longer and a kiosk closes many devices
        elif not self._run_within(CLOSE_SECONDS / 2, close):
            self._report("close", StateError("not everything was written within a second"))
        self._core = None
        self._silent = self._silent or str(Silence.CLOSED)

    def _why_silent(self) -> str:
        """Return why nothing is done while there is no state file, or while it cannot be read."""
        if calls.is_running():
            return str(Silence.REENTRANT)
        return opt_out_reason() or self._silent or str(Silence.UNREADABLE)

    def _call(self, during: str, action: Callable[[C], T], default: T, *, even_if_opted_out: bool = False) -> T:
        """Return what `action` returns; report a failure and return `default`."""
        core = self._core
        if core is None or (not even_if_opted_out and opt_out_reason()):
            return default
        try:
            if self._started:
                self._ticker.ensure_running()
            return action(core)
        except StateLostError as error:
            core.abandon()
            if self._core is core:
                self._core, self._silent = None, str(error)
            self._report(during, error, f"silent: {error}")
        except Exception as error:
            self._report(during, error)
        return default

    def _run_within(self, seconds: float, action: Callable[[], T]) -> T | None:
        """Return the result of `action`, or None after `seconds`; a disk, a lock or a name lookup may hang."""
        outcome: list[T] = []
        run = calls.for_other_thread(lambda: outcome.append(action()))
        thread = threading.Thread(target=run, name="hushtally-call", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the interpreter is shutting down, or the system has no thread left
            return action()
        thread.join(min(max(0.0, seconds), threading.TIMEOUT_MAX))
        return outcome[0] if outcome else None

    def _refuse(self, during: str) -> bool:
        """Report that a decision cannot be stored in the middle of another call."""
        self._report(during, StateError(Silence.REENTRANT))
        return False

    def _report(self, during: str, error: Exception, message: str | None = None) -> None:
        """Log a failure and pass it to `on_error`, both when the call has ended."""
        why = describe_failure(error)
        calls.report(logger.error, "%s", message or f"{during} failed: {why}")
        if self._on_error is not None:
            calls.report(self._tell_app, self._on_error, Fault(during, type(error).__name__, why))

    @staticmethod
    def _tell_app(on_error: Callable[[Fault], None], fault: Fault) -> None:
        try:
            on_error(fault)
        except Exception as another:
            logger.error("on_error failed: %s", describe_failure(another))
