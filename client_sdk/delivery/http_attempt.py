"""One HTTP request that can be cut off; loaded with the first delivery, as ssl and http are slow to import.

All it ever needs is imported here: a fork amid an import in another thread leaves a child that waits for it forever.
"""

from __future__ import annotations

import base64
import encodings.idna  # noqa: F401  (what any look-up of a name and any handshake would import)
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

from hushtally.client_sdk.delivery.transport import Answer, CutOff, NoAnswer

logger = logging.getLogger("hushtally")

PROXY = "HTTPS_PROXY must name a proxy as http://host:port, got another kind: neither TLS nor SOCKS is spoken to it"
# fixed and the same on every machine: they tell nothing about it
HEADERS = {"User-Agent": "hushtally", "Accept-Encoding": "identity", "Connection": "close"}


class Attempt:
    """A request that runs in a thread of its own until it is answered or cut off.

    No cookies, no redirects, no credentials but those of a proxy; certificates are verified.
    """

    def __init__(self, method: str, url: str, body: bytes | None, deadline: float, most: int) -> None:
        """deadline: by time.monotonic(). most: bytes that are read of the answer's body."""
        self._method = method
        self._url = urlsplit(url)
        self._body = body
        self._deadline = deadline
        self._most = most
        self._sockets: list[socket.socket] = []
        self._cut = False
        self._outcome: Answer | OSError = NoAnswer("not tried")

    def run(self) -> None:
        """Sends the request and keeps what came of it."""
        try:
            self._outcome = self._send()
        except OSError as error:
            self._outcome = error
        except Exception as error:  # whatever a server can make the standard library raise
            self._outcome = NoAnswer(f"what came back is no HTTP ({type(error).__name__})")
        finally:
            for one in self._sockets:
                one.close()

    def answer(self) -> Answer:
        """What came of it; raises OSError if it was no answer."""
        if isinstance(self._outcome, OSError):
            raise CutOff("cut off") if self._cut else self._outcome
        return self._outcome

    def cut(self) -> None:
        """Cuts the connection, so that the thread ends."""
        self._cut = True
        for one in list(self._sockets):
            with suppress(OSError):
                # of the plain socket: an SSLSocket would forget its state under the feet of the other thread
                socket.socket.shutdown(one, socket.SHUT_RDWR)

    def _send(self) -> Answer:
        # it only writes and reads: the way to the server, with TLS if need be, is made here
        connection = HTTPConnection("localhost")
        connection.sock = self._connected()
        headers = {"Host": self._url.netloc, **HEADERS}
        if self._body is not None:
            headers |= {"Content-Type": "application/json", "Content-Length": str(len(self._body))}
        connection.request(self._method, self._url.path, headers=headers)
        if self._body is not None:
            self._go_on()
            connection.send(self._body)
        with connection.getresponse() as response:
            return Answer(response.status, self._read(response), _retry_after(response.headers))

    def _read(self, response: HTTPResponse) -> bytes:
        parts: list[bytes] = []
        left = self._most
        while left > 0 and time.monotonic() < self._deadline and (part := response.read1(left)):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def _connected(self) -> socket.socket:
        host = self._url.hostname or ""
        if self._url.scheme == "http":
            return self._reach(host, self._url.port or 80)
        port = self._url.port or 443
        proxy = _proxy(self._url)
        if proxy is None:
            plain = self._reach(host, port)
        else:
            plain = self._reach(proxy.hostname or "", proxy.port or 80)
            _tunnel(plain, proxy, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        secure = _context().wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
        self._note(secure)
        secure.do_handshake()
        return secure

    def _reach(self, host: str, port: int) -> socket.socket:
        """A connection to the first address that takes one; the time left is shared among those not yet tried."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        error: OSError = NoAnswer("no address")
        for index, (family, kind, protocol, _, address) in enumerate(found):
            left = self._deadline - time.monotonic()
            if left <= 0:
                break
            plain = socket.socket(family, kind, protocol)
            self._note(plain)
            try:
                plain.settimeout(left / (len(found) - index))
                plain.connect(address)
            except OSError as failure:
                error = failure
                plain.close()
                continue
            plain.settimeout(left)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # the body follows the head at once
            return plain
        raise error

    def _note(self, one: socket.socket) -> None:
        self._sockets.append(one)
        self._go_on()

    def _go_on(self) -> None:
        if self._cut:
            raise CutOff("cut off")


def _proxy(url: SplitResult) -> SplitResult | None:
    """The proxy that the environment names for this address, as the standard library reads it."""
    named = getproxies_environment().get("https")
    if not named or proxy_bypass_environment(url.netloc):
        return None
    try:
        proxy = urlsplit(named if "://" in named else f"http://{named}")
        known = proxy.scheme == "http" and proxy.hostname and proxy.port != 0
    except ValueError:
        known = False
    if not known:  # to speak plainly to one that is named https would give away its password
        logger.warning("%s", PROXY)
        raise NoAnswer(PROXY)
    return proxy


def _tunnel(plain: socket.socket, proxy: SplitResult, target: str) -> None:
    """Asks the proxy for the way to `target`; it sees that and nothing else."""
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", f"User-Agent: {HEADERS['User-Agent']}"]
    if proxy.username is not None:
        user = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(user.encode()).decode()}")
    plain.sendall("\r\n".join([*lines, "", ""]).encode())
    with HTTPResponse(plain, method="CONNECT") as response:
        response.begin()
        if response.status != 200:
            raise NoAnswer(f"the proxy answered {response.status}")


def _retry_after(headers: Message) -> float | None:
    """Seconds, given as such or as a date; a date is read by the sender's own clock where it tells it."""
    given = (headers.get("Retry-After") or "").strip()
    if given.isascii() and given.isdigit():
        return float(given[:12])
    try:
        until = parsedate_to_datetime(given)
        now = parsedate_to_datetime(headers["Date"]) if headers["Date"] else datetime.now(UTC)
        return max((until - now).total_seconds(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return None


@cache
def _context() -> ssl.SSLContext:
    return ssl.create_default_context()
