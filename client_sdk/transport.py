"""The way to the collector: HTTPS with verified certificates; plain HTTP to this machine alone."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from client_sdk.errors import ClientError, Tellable
from client_sdk.forking import Forking

if TYPE_CHECKING:
    from client_sdk.http_attempt import Attempt

LARGEST_ANSWER = 65_536  # bytes read of an answer to a batch
LARGEST_SURVEY = 4_194_304  # bytes read of a survey's definition
MOST_ABANDONED = 8  # requests that were cut off, but hang in something that cannot be: a name look-up


@dataclass(frozen=True)
class Answer:
    """What the collector answered: the status, the beginning of the body, and the seconds it wants to be left alone."""

    status: int
    body: bytes
    retry_after: float | None = None


class NoAnswer(Tellable, ConnectionError):
    """There was no answer, for a reason that is named."""


class CutOff(NoAnswer):
    """The request was cut off by `HttpTransport.cut`."""


class Transport(Protocol):
    """Sends one request and returns the answer; OSError when there was none in time."""

    def request(self, method: str, url: str, body: bytes | None, timeout: float, most: int = LARGEST_ANSWER) -> Answer:
        """Sends `body` as JSON to `url`; within `timeout` seconds in all; reads at most `most` bytes."""
        ...


class _Loading(Forking):
    """Loads the requests. No fork may come amid it: a child could never end what another thread had begun to import."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        super().__init__()

    def attempt(self, method: str, url: str, body: bytes | None, deadline: float, most: int) -> Attempt:
        """A request; the first one costs an import, more than all the rest of the SDK."""
        with self._lock:
            from client_sdk.http_attempt import Attempt

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


def checked_url(collector: str) -> str:
    """The collector's base URL without a trailing slash; ClientError unless it is https, or http to loopback."""
    try:
        parts = urlsplit(collector)
        host, _ = parts.hostname, parts.port
    except (ValueError, AttributeError, TypeError):
        host = None
    # a user, a query or a fragment has no use here, and urlsplit passes over what is not printable
    plain = isinstance(collector, str) and collector.isascii() and collector.isprintable()
    if "@" in repr(collector):  # which may hold a password
        raise ClientError("collector must be a URL without a user or password, like https://tally.shop.example")
    if not host or not plain or parts.scheme not in ("https", "http") or set(collector) & set("?# \\"):
        raise ClientError(f"collector must be a URL like https://tally.shop.example, got {collector!r}")
    if parts.path.rstrip("/").endswith(("/v1", "/v1/reports")):
        raise ClientError(f"collector must be the URL to which /v1/reports is added, got {collector!r}")
    if parts.scheme == "http" and not _loopback(host):
        raise ClientError(f"collector must be https (plain http goes to this machine only), got {collector!r}")
    return collector.rstrip("/")


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    import ipaddress  # costs a device milliseconds that none of those with https has to spend

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
