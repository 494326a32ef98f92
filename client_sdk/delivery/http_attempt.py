"""One HTTP request that can be cancelled.

This module is loaded with the first delivery, because ssl and http are slow to import. It imports everything that a
request needs. Otherwise the process could fork while another thread imports a module, and the child would wait forever
for that import.
"""

from __future__ import annotations

import base64
import encodings.idna  # noqa: F401  (name look-ups and TLS handshakes import it)
import logging
import socket
import ssl
import time
from contextlib import suppress
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from functools import cache
from http.client import HTTPConnection, HTTPResponse
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

from hushtally.client_sdk.delivery.transport import NoResponse, RequestCancelled, Response

logger = logging.getLogger("hushtally")

PROXY = "HTTPS_PROXY must be a URL like http://host:port; proxies that need TLS or SOCKS are not supported"
CANCELLED = "the request was cancelled"
# the headers are the same on every machine, so that they reveal nothing about the machine
HEADERS = {"User-Agent": "hushtally", "Accept-Encoding": "identity", "Connection": "close"}


class Attempt:
    """A request that runs in its own thread until there is a response or the request is cancelled.

    The request contains no cookies, and no credentials except those for a proxy. Redirects are not followed, and
    certificates are verified.
    """

    def __init__(self, method: str, url: str, body: bytes | None, deadline: float, max_bytes: int) -> None:
        """deadline: a time of time.monotonic(). max_bytes: the size limit for the body of the response."""
        self._method = method
        self._url = urlsplit(url)
        self._body = body
        self._deadline = deadline
        self._max_bytes = max_bytes
        self._sockets: list[socket.socket] = []
        self._cancelled = False
        self._outcome: Response | OSError = NoResponse("the request has not started")

    def run(self) -> None:
        """Send the request and store its outcome."""
        try:
            self._outcome = self._send()
        except OSError as error:
            self._outcome = error
        except Exception as error:  # a server can make the standard library raise anything
            self._outcome = NoResponse(f"the response is not HTTP ({type(error).__name__})")
        finally:
            for open_socket in self._sockets:
                open_socket.close()

    def response(self) -> Response:
        """Return the response. Raises OSError if there is no response."""
        if isinstance(self._outcome, OSError):
            raise RequestCancelled(CANCELLED) if self._cancelled else self._outcome
        return self._outcome

    def cancel(self) -> None:
        """Shut down the connection, so that the thread ends."""
        self._cancelled = True
        for open_socket in list(self._sockets):
            with suppress(OSError):
                # SSLSocket.shutdown would reset state that the other thread is using
                socket.socket.shutdown(open_socket, socket.SHUT_RDWR)

    def _send(self) -> Response:
        # HTTPConnection only writes and reads; this class opens the connection itself
        connection = HTTPConnection("localhost")
        connection.sock = self._open()
        headers = {"Host": self._url.netloc, **HEADERS}
        if self._body is not None:
            headers |= {"Content-Type": "application/json", "Content-Length": str(len(self._body))}
        connection.request(self._method, self._url.path, headers=headers)
        if self._body is not None:
            self._check_cancelled()
            connection.send(self._body)
        with connection.getresponse() as response:
            return Response(response.status, self._read(response), _retry_after(response.headers))

    def _read(self, response: HTTPResponse) -> bytes:
        parts: list[bytes] = []
        left = self._max_bytes
        while left > 0 and time.monotonic() < self._deadline and (part := response.read1(left)):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def _open(self) -> socket.socket:
        """Open a connection to the server, through the proxy and with TLS if required."""
        host = self._url.hostname or ""
        if self._url.scheme == "http":
            return self._connect(host, self._url.port or 80)
        port = self._url.port or 443
        proxy = _proxy(self._url)
        if proxy is None:
            plain = self._connect(host, port)
        else:
            plain = self._connect(proxy.hostname or "", proxy.port or 80)
            _tunnel(plain, proxy, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        secure = _context().wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
        self._track(secure)
        secure.do_handshake()
        return secure

    def _connect(self, host: str, port: int) -> socket.socket:
        """Connect to the first address that accepts a connection. The remaining addresses share the remaining time."""
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        error: OSError = NoResponse("the host name has no address")
        for index, (family, kind, protocol, _, address) in enumerate(addresses):
            left = self._deadline - time.monotonic()
            if left <= 0:
                break
            plain = socket.socket(family, kind, protocol)
            self._track(plain)
            try:
                plain.settimeout(left / (len(addresses) - index))
                plain.connect(address)
            except OSError as failure:
                error = failure
                plain.close()
                continue
            plain.settimeout(left)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # send the body directly after the headers
            return plain
        raise error

    def _track(self, new_socket: socket.socket) -> None:
        self._sockets.append(new_socket)
        self._check_cancelled()

    def _check_cancelled(self) -> None:
        if self._cancelled:
            raise RequestCancelled(CANCELLED)


def _proxy(url: SplitResult) -> SplitResult | None:
    """Return the proxy that the environment sets for this URL, by the rules of the standard library."""
    configured = getproxies_environment().get("https")
    if not configured or proxy_bypass_environment(url.netloc):
        return None
    try:
        proxy = urlsplit(configured if "://" in configured else f"http://{configured}")
        supported = proxy.scheme == "http" and proxy.hostname and proxy.port != 0
    except ValueError:
        supported = False
    if not supported:  # plain HTTP to an https proxy would reveal the proxy's password
        logger.warning("%s", PROXY)
        raise NoResponse(PROXY)
    return proxy


def _tunnel(plain: socket.socket, proxy: SplitResult, target: str) -> None:
    """Ask the proxy for a tunnel to `target`. The proxy sees only the target."""
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", f"User-Agent: {HEADERS['User-Agent']}"]
    if proxy.username is not None:
        user = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(user.encode()).decode()}")
    plain.sendall("\r\n".join([*lines, "", ""]).encode())
    with HTTPResponse(plain, method="CONNECT") as response:
        response.begin()
        if response.status != 200:
            raise NoResponse(f"the proxy answered with status {response.status}")


def _retry_after(headers: Message) -> float | None:
    """Return the Retry-After header in seconds. A date is compared with the Date header, or else the local clock."""
    value = (headers.get("Retry-After") or "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:12])
    try:
        until = parsedate_to_datetime(value)
        now = parsedate_to_datetime(headers["Date"]) if headers["Date"] else datetime.now(UTC)
        return max((until - now).total_seconds(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return None


@cache
def _context() -> ssl.SSLContext:
    return ssl.create_default_context()
