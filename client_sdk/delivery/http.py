"""The transport over HTTP, built on the standard library."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from hushtally.client_sdk.delivery.transport import MAX_RESPONSE_BYTES, NoResponse, RequestCancelled, Response
from hushtally.client_sdk.forking import Forking

if TYPE_CHECKING:
    from hushtally.client_sdk.delivery.http_attempt import Attempt

MAX_ABANDONED = 8  # cancelled requests that are blocked in a name look-up, which cannot be interrupted


class _AttemptLoader(Forking):
    """Imports the module of requests on first use.

    A lock keeps the process from forking during the import: a child could never complete an import that another
    thread of its parent had begun.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal handler may fork in the middle of the import
        super().__init__()

    def attempt(self, method: str, url: str, body: bytes | None, deadline: float, max_bytes: int) -> Attempt:
        """Create a request. The first call pays for an import that costs more than the rest of the SDK."""
        with self._lock:
            from hushtally.client_sdk.delivery.http_attempt import Attempt

        return Attempt(method, url, body, deadline, max_bytes)

    def hold(self) -> None:
        self._lock.acquire()

    def release(self) -> None:
        self._lock.release()

    def after_fork(self) -> None:
        self._lock = threading.RLock()
        _abandoned.clear()  # these threads exist only in the parent


_abandoned: list[threading.Thread] = []
_loader = _AttemptLoader()


class HttpTransport(Forking):
    """Sends requests with the standard library: no cookies, no redirects, verified certificates.

    https uses the proxy that the environment names (HTTPS_PROXY, NO_PROXY), which must be http://host:port. Plain http
    goes to this machine only, and never through a proxy.
    """

    def __init__(self) -> None:
        self._attempts: set[Attempt] = set()
        self._stopped = False
        super().__init__()

    def request(
        self, method: str, url: str, body: bytes | None, timeout: float, max_bytes: int = MAX_RESPONSE_BYTES
    ) -> Response:
        """See `Transport`. No server and no name service can delay the return by more than a moment."""
        _abandoned[:] = [thread for thread in _abandoned if thread.is_alive()]
        if len(_abandoned) >= MAX_ABANDONED:
            raise NoResponse("earlier requests are still blocked")
        timeout = min(timeout, threading.TIMEOUT_MAX)
        deadline = time.monotonic() + timeout
        attempt = _loader.attempt(method, url, body, deadline, max_bytes)
        self._attempts.add(attempt)
        try:
            if self._stopped:  # checked after the attempt is listed, so that `cancel` never misses it
                raise RequestCancelled("the request was cancelled before it began")
            self._run(attempt, deadline, timeout)
        finally:
            self._attempts.discard(attempt)
        return attempt.response()

    def cancel(self) -> None:
        """Cancel all current requests, and those that begin before `resume`. They raise RequestCancelled.

        No more of their bodies is sent. Data that the operating system accepted before may still arrive.
        """
        self._stopped = True
        for attempt in list(self._attempts):
            attempt.cancel()

    def resume(self) -> None:
        """Allow new requests again."""
        self._stopped = False

    def after_fork(self) -> None:
        self._attempts = set()  # they belong to the parent: cancelling them here would cancel them there

    def _run(self, attempt: Attempt, deadline: float, timeout: float) -> None:
        # A separate thread: the timeout of a socket covers neither a name look-up nor a response that drips in.
        thread = threading.Thread(target=attempt.run, name="hushtally-request", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            raise NoResponse("no thread can be started: the interpreter is shutting down") from None
        thread.join(max(deadline - time.monotonic(), 0.0))
        if thread.is_alive():
            attempt.cancel()
            _abandoned.append(thread)
            raise TimeoutError(f"no response within {timeout:g} seconds")
