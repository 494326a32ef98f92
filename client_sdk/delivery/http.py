"""The transport over HTTPS, built on the standard library."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from hushtally.client_sdk.delivery.transport import LARGEST_ANSWER, Answer, CutOff, NoAnswer
from hushtally.client_sdk.forking import Forking

if TYPE_CHECKING:
    from hushtally.client_sdk.delivery.http_attempt import Attempt

MOST_ABANDONED = 8  # requests that were cut off, but hang in something that cannot be: a name look-up


class _Loading(Forking):
    """Loads the requests. No fork may come amid it: a child could never end what another thread had begun to import."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        super().__init__()

    def attempt(self, method: str, url: str, body: bytes | None, deadline: float, most: int) -> Attempt:
        """A request; the first one costs an import, more than all the rest of the SDK."""
        with self._lock:
            from hushtally.client_sdk.delivery.http_attempt import Attempt

        return Attempt(method, url, body, deadline, most)

    def hold(self) -> None:
        self._lock.acquire()

    def release(self) -> None:
        self._lock.release()

    def after_fork(self) -> None:
        self._lock = threading.Lock()


_loading = _Loading()


_abandoned: list[threading.Thread] = []


class HttpTransport(Forking):
    """The transport of the standard library: no cookies, no redirects, verified certificates.

    https goes through the proxy that the environment names (HTTPS_PROXY, NO_PROXY), which must be http://host:port.
    Plain http goes to this machine alone, and through no proxy.
    """

    def __init__(self) -> None:
        self._attempts: set[Attempt] = set()
        self._stopped = False
        super().__init__()

    def request(self, method: str, url: str, body: bytes | None, timeout: float, most: int = LARGEST_ANSWER) -> Answer:
        """See Transport. It may return a moment late; no server and no name service can make it later."""
        _abandoned[:] = [thread for thread in _abandoned if thread.is_alive()]
        if len(_abandoned) >= MOST_ABANDONED:
            raise NoAnswer("earlier requests still hang")
        timeout = min(timeout, threading.TIMEOUT_MAX)
        deadline = time.monotonic() + timeout
        attempt = _loading.attempt(method, url, body, deadline, most)
        self._attempts.add(attempt)
        try:
            if self._stopped:  # asked after: `cut` either finds the attempt or is found
                raise CutOff("cut off before it began")
            self._run(attempt, deadline, timeout)
        finally:
            self._attempts.discard(attempt)
        return attempt.answer()

    def cut(self) -> None:
        """Cuts all requests under way, and those that begin before `resume`: they raise CutOff.

        No more of their bodies is sent; what was handed to the system before may still arrive.
        """
        self._stopped = True
        for attempt in list(self._attempts):
            attempt.cut()

    def resume(self) -> None:
        """Lets requests begin again."""
        self._stopped = False

    def after_fork(self) -> None:
        self._attempts = set()  # the parent's: to cut them here would cut them there

    def _run(self, attempt: Attempt, deadline: float, timeout: float) -> None:
        # a thread of its own, as neither a name look-up nor a dripping answer obeys the timeout of a socket
        thread = threading.Thread(target=attempt.run, name="hushtally-request", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            raise NoAnswer("no thread can be started: the interpreter is shutting down") from None
        thread.join(max(deadline - time.monotonic(), 0.0))
        if thread.is_alive():
            attempt.cut()
            _abandoned.append(thread)
            raise TimeoutError(f"no answer within {timeout:g} seconds")
