"""Connections: reads the bytes of a sender before the application sees a request.

Every answer to invalid bytes is a problem document. No log line contains anything that a sender wrote.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from threading import Lock
from typing import Any

from waitress.channel import HTTPChannel  # type: ignore[import-untyped]
from waitress.parser import HTTPRequestParser, ParsingError  # type: ignore[import-untyped]
from waitress.task import ErrorTask  # type: ignore[import-untyped]
from waitress.utilities import BadRequest, RequestEntityTooLarge  # type: ignore[import-untyped]

from hushtally.client_sdk.protocol.report import MAX_BYTES

MAX_READ = 2 * MAX_BYTES  # bytes of a body; a larger body is not read to its end
MAX_UNFINISHED = 64 * MAX_READ  # bytes of all incomplete requests together
MAX_WAITING = 64 * MAX_READ  # bytes of all complete requests without a response, together


class Parser(HTTPRequestParser):  # type: ignore[misc]
    """Reads one request. The application, not this class, refuses a body that exceeds MAX_READ."""

    def received(self, data: bytes) -> int:
        """Read the next bytes; return how many belong to this request."""
        try:
            taken: int = super().received(data)
        except Exception:  # for example, brackets in a URI; the error of waitress quotes the head of the request
            taken = len(data)
            self.error, self.completed = BadRequest("the head of the request cannot be read"), True
        if isinstance(self.error, RequestEntityTooLarge):
            self.error = None
            self.headers["CONNECTION"] = "close"
            self.headers["CONTENT_LENGTH"] = str(MAX_READ)  # a chunked body was cut; the application must not judge it
        if self.completed:
            self.expect_continue = False  # waitress would wait for more, although the request needs an answer now
        return taken

    def parse_header(self, header_plus: bytes) -> None:
        """Read the head of the request. Raises ParsingError if it is invalid."""
        super().parse_header(header_plus)
        host = self.headers.get("HOST")  # RFC 9112, section 3.2; waitress joins repeated fields with a comma
        if "," in host if host is not None else self.version == "1.1":
            raise ParsingError("a request needs exactly one Host")
        if (
            self.chunked and "CONTENT_LENGTH" in self.headers
        ):  # section 6.1: a proxy may read another body than waitress
            raise ParsingError("a request needs either Content-Length or Transfer-Encoding, not both")


class ProblemTask(ErrorTask):  # type: ignore[misc]
    """Waitress's own response to invalid HTTP. The response is not about a batch, so its type is about:blank."""

    def execute(self) -> None:
        """Send the response, and close the connection."""
        error = self.request.error
        self.channel.server.count_invalid()
        detail = error.body.partition(' "')[0]  # waitress quotes a line of the head after this
        body = json.dumps({"type": "about:blank", "title": error.reason, "status": error.code, "detail": detail})
        self.status = f"{error.code} {error.reason}"
        self.response_headers.append(("Content-Type", "application/problem+json"))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body.encode())


class Connection(HTTPChannel):  # type: ignore[misc]
    """One connection. Its `server` has `memory`, `unexpected`, `count_invalid` and `stopping`; see Server."""

    parser_class = Parser
    error_task_class = ProblemTask
    began = 0.0  # when the unfinished request began
    has_request = False  # whether a byte of any request arrived
    is_closed = False

    def readable(self) -> bool:
        """Return whether to read from the socket now. False while complete requests take too much memory."""
        return bool(super().readable()) and not self.server.memory.is_full

    def received(self, data: bytes) -> bool:
        """Read the next bytes of the connection, in the server's main thread."""
        self.has_request = True
        if self.request is None:
            self.began = time.monotonic()
        result = bool(super().received(data))
        self.server.memory.update(self)
        return result

    def service(self) -> None:
        """Answer one complete request, in a thread of the pool."""
        if self.server.stopping.is_set() and self._has_one_request:  # a busy proxy would keep it until the deadline
            self.requests[0].headers["CONNECTION"] = "close"
        super().service()
        self.server.memory.update(self)

    @property
    def _has_one_request(self) -> bool:
        return len(self.requests) == 1 and self.request is None and not is_readable(self.socket)

    def del_channel(self, map: Any = None) -> None:
        """Forget the connection when it is closed."""
        super().del_channel(map)
        self.is_closed = True
        self.server.memory.update(self)

    @property
    def held(self) -> tuple[int, int]:
        """The bytes of the request that has not arrived completely, and of the requests that have no response yet.

        A closed connection holds nothing, although a thread may still work on its request.
        """
        return (0, 0) if self.is_closed else (_size(self.request), sum(map(_size, list(self.requests))))

    def handle_error(self) -> None:
        """Log an unexpected error without its message, which might quote a request, and close the connection."""
        kind, _, place = sys.exc_info()
        self.server.unexpected.log(kind, place)
        self.handle_close()


def is_readable(connection: socket.socket) -> bool:
    """Return whether bytes arrived on a connection, or a connection on a listening socket."""
    with selectors.DefaultSelector() as selector:
        try:
            selector.register(connection, selectors.EVENT_READ)
        except (OSError, ValueError):  # another thread closed it
            return False
        return bool(selector.select(0))


def _size(request: HTTPRequestParser | None) -> int:
    return 0 if request is None else len(request.header_plus) + request.body_bytes_received


class Memory:
    """The bytes that unfinished and waiting requests hold, over all connections. The methods are thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._held: dict[Connection, tuple[int, int]] = {}
        self._unfinished = self._waiting = 0

    @property
    def is_full(self) -> bool:
        """Whether reading must pause until waiting requests get their responses."""
        return self._waiting > MAX_WAITING

    def update(self, connection: Connection) -> None:
        """Count what the connection holds now."""
        with self._lock:  # also around `held`: of two threads, the later one must not store an earlier state
            before, held = self._held.pop(connection, (0, 0)), connection.held
            if any(held):
                self._held[connection] = held
            self._unfinished += held[0] - before[0]
            self._waiting += held[1] - before[1]

    def excess(self) -> list[Connection]:
        """Return the connections to close to stay within the limit, the oldest unfinished requests first.

        An honest request arrives within moments. The oldest unfinished requests belong to senders that send a part of a
        request and then wait.
        """
        found: list[Connection] = []
        with self._lock:
            left = self._unfinished
            if left > MAX_UNFINISHED:
                for connection in sorted(self._held, key=lambda one: one.began):
                    if left <= MAX_UNFINISHED:
                        break
                    if self._held[connection][0]:
                        found.append(connection)
                        left -= self._held[connection][0]
        return found
