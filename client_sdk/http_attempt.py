"""One HTTP request that can be cancelled; loaded with the first delivery, as urllib is slow to import."""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import suppress
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, Request, build_opener

from client_sdk.transport import Answer

# fixed and the same on every machine: they tell nothing about it
HEADERS = {"User-Agent": "hushtally", "Accept-Encoding": "identity"}


class Attempt:
    """A request that runs in a thread of its own until it is answered or cancelled."""

    def __init__(self, method: str, url: str, body: bytes | None, timeout: float, most: int) -> None:
        headers = HEADERS if body is None else {**HEADERS, "Content-Type": "application/json"}
        self._request = Request(url, body, headers, method=method)
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout
        self._most = most
        self._sockets: list[socket.socket] = []
        self._outcome: Answer | OSError = ConnectionError("not tried")

    def run(self) -> None:
        """Sends the request and keeps what came of it."""
        try:
            self._outcome = self._send()
        except OSError as error:
            self._outcome = error
        except (HTTPException, ValueError) as error:
            self._outcome = ConnectionError(type(error).__name__)

    def answer(self) -> Answer:
        """What came of it; raises OSError if it was no answer."""
        if isinstance(self._outcome, OSError):
            raise self._outcome
        return self._outcome

    def cancel(self) -> None:
        """Cuts the connection, so that the thread ends."""
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _send(self) -> Answer:
        opener = build_opener(_NoRedirect, _Plain(self._sockets), _Secure(self._sockets))
        try:
            with opener.open(self._request, timeout=self._timeout) as response:
                return Answer(response.status, self._read(response))
        except HTTPError as error:
            with error:
                return Answer(error.code, self._read(error), error.headers.get("Retry-After"))

    def _read(self, response: HTTPResponse | HTTPError) -> bytes:
        parts: list[bytes] = []
        left = self._most
        while left > 0 and time.monotonic() < self._deadline:
            part: bytes = response.read1(left) if isinstance(response, HTTPResponse) else response.read(left)
            if not part:
                break
            parts.append(part)
            left -= len(part)
        return b"".join(parts)


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _remembering(kind: type[HTTPConnection], sockets: list[socket.socket]) -> Any:
    """The connection class `kind`, noting its socket so that it can be cut."""

    class Remembering(kind):  # type: ignore[valid-type, misc]
        def connect(self) -> None:
            super().connect()
            sockets.append(self.sock)

    return Remembering


class _Plain(HTTPHandler):
    def __init__(self, sockets: list[socket.socket]) -> None:
        super().__init__()
        self._connection = _remembering(HTTPConnection, sockets)

    def http_open(self, req: Request) -> HTTPResponse:
        return self.do_open(self._connection, req)


class _Secure(HTTPSHandler):
    def __init__(self, sockets: list[socket.socket]) -> None:
        super().__init__(context=_context())
        self._connection = _remembering(HTTPSConnection, sockets)

    def https_open(self, req: Request) -> HTTPResponse:
        return self.do_open(self._connection, req, context=_context())


@cache
def _context() -> ssl.SSLContext:
    return ssl.create_default_context()
