"""The way to the collector: HTTPS with verified certificates; plain HTTP to this machine alone."""

from __future__ import annotations

import ipaddress
import threading
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from client_sdk.errors import ClientError

LARGEST_ANSWER = 65_536  # bytes read of an answer to a batch
LARGEST_SURVEY = 4_194_304  # bytes read of a survey's definition


@dataclass(frozen=True)
class Answer:
    """What the collector answered: the status and the beginning of the body."""

    status: int
    body: bytes
    retry_after: str | None = None


class Transport(Protocol):
    """Sends one request and returns the answer; OSError when there was none in time."""

    def request(self, method: str, url: str, body: bytes | None, timeout: float, most: int = LARGEST_ANSWER) -> Answer:
        """Sends `body` as JSON to `url`; within `timeout` seconds in all; reads at most `most` bytes."""
        ...


class HttpTransport:
    """The transport of the standard library: no cookies, no redirects, proxies as the environment names them."""

    def request(self, method: str, url: str, body: bytes | None, timeout: float, most: int = LARGEST_ANSWER) -> Answer:
        # loaded with the first request: the import alone costs more than the rest of the SDK
        from client_sdk.http_attempt import Attempt

        attempt = Attempt(method, url, body, timeout, most)
        # a thread of its own, as neither a name look-up nor a dripping answer obeys the timeout of a socket
        thread = threading.Thread(target=attempt.run, name="hushtally-request", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            raise ConnectionError("the interpreter is shutting down") from None
        thread.join(timeout)
        if thread.is_alive():
            attempt.cancel()
            raise TimeoutError(f"no answer within {timeout:g} seconds")
        return attempt.answer()


def checked_url(collector: str) -> str:
    """The collector's base URL without a trailing slash; ClientError unless it is https, or http to loopback."""
    try:
        parts = urlsplit(collector)
        host, _ = parts.hostname, parts.port
    except (ValueError, AttributeError, TypeError):
        host = None
    if not host or parts.scheme not in ("https", "http") or parts.query or parts.fragment or parts.username:
        raise ClientError(f"collector must be a URL like https://tally.shop.example, got {collector!r}")
    if parts.scheme == "http" and not _loopback(host):
        raise ClientError(f"collector must be https (plain http goes to this machine only), got {collector!r}")
    return collector.rstrip("/")


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
