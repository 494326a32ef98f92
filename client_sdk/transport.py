"""The way to the collector: HTTPS with verified certificates; plain HTTP to this machine alone."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from client_sdk.errors import ClientError

LARGEST_ANSWER = 65_536  # bytes read of an answer; a batch's is far smaller
USER_AGENT = "hushtally"


@dataclass(frozen=True)
class Answer:
    """What the collector answered: the status and the beginning of the body."""

    status: int
    body: bytes
    retry_after: str | None = None


class Transport(Protocol):
    """Sends one body and returns the answer; OSError when there was none."""

    def post(self, url: str, body: bytes, timeout: float) -> Answer:
        """POSTs JSON to `url` within `timeout` seconds."""
        ...


class HttpTransport:
    """The transport of the standard library: no cookies, no redirects, proxies as the environment names them."""

    def post(self, url: str, body: bytes, timeout: float) -> Answer:
        # loaded with the first delivery: the import alone costs more than the rest of the SDK
        from http.client import HTTPException
        from urllib.error import HTTPError
        from urllib.request import HTTPRedirectHandler, Request, build_opener

        class NoRedirect(HTTPRedirectHandler):
            def redirect_request(self, *_: object) -> None:
                return None

        headers = {"Content-Type": "application/json", "User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
        request = Request(url, body, headers, method="POST")
        try:
            with build_opener(NoRedirect).open(request, timeout=timeout) as answer:
                return Answer(answer.status, answer.read(LARGEST_ANSWER))
        except HTTPError as error:
            with error:
                return Answer(error.code, error.read(LARGEST_ANSWER), error.headers.get("Retry-After"))
        except HTTPException as error:
            raise ConnectionError(type(error).__name__) from None


def checked_url(collector: str) -> str:
    """The collector's base URL without a trailing slash; ClientError unless it is https, or http to loopback."""
    try:
        parts = urlsplit(collector)
        host, _ = parts.hostname, parts.port
    except ValueError:
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
