"""Connections: what waitress does with the bytes of a sender before the application sees a request.

Whatever a sender writes, the answer is a problem document, and no log line contains it.
"""

from __future__ import annotations

import json
import sys
import time
from threading import Lock
from typing import Any

from waitress.channel import HTTPChannel  # type: ignore[import-untyped]
from waitress.parser import HTTPRequestParser  # type: ignore[import-untyped]
from waitress.task import ErrorTask  # type: ignore[import-untyped]
from waitress.utilities import BadRequest, RequestEntityTooLarge  # type: ignore[import-untyped]

from hushtally.client_sdk.protocol.report import MAX_BYTES

MAX_READ = 2 * MAX_BYTES  # bytes of a body; a larger body is not read to its end
MAX_UNFINISHED = 64 * MAX_READ  # bytes of all requests that have not arrived completely
MAX_WAITING = 64 * MAX_READ  # bytes of all complete requests that have no response yet


class Parser(HTTPRequestParser):  # type: ignore[misc]
    """Reads one request. It leaves the refusal of a body that exceeds MAX_READ to the application."""

    def received(self, data: bytes) -> int:
        """Read the next bytes; return how many belong to this request."""
        try:
            taken: int = super().received(data)
        except Exception:  # waitress raises an error that quotes the head, for example for brackets in a URI
            taken = len(data)
            self._refuse("the head of the request cannot be read")
        if isinstance(self.error, RequestEntityTooLarge):  # type: ignore[has-type]
            self.error = None
            self.headers["CONNECTION"] = "close"
            self.headers["CONTENT_LENGTH"] = str(MAX_READ)  # a chunked body was cut; the application must not judge it
        elif self.error is None and self.headers_finished and not self.empty and self._host_is_invalid():
            self._refuse("a request needs exactly one Host")
        return taken

    def _host_is_invalid(self) -> bool:
        host = self.headers.get("HOST")  # RFC 9112, section 3.2; waitress joins repeated fields with a comma
        return "," in host if host is not None else self.version == "1.1"

    def _refuse(self, detail: str) -> None:
        self.error, self.completed, self.expect_continue = BadRequest(detail), True, False


class ProblemTask(ErrorTask):  # type: ignore[misc]
    """Waitress's own response to invalid HTTP. The response is not about a batch, so its type is about:blank."""

    def execute(self) -> None:
        """Send the response, and close the connection."""
        error = self.request.error
        self.channel.server.count_invalid()
        body = json.dumps({"type": "about:blank", "title": error.reason, "status": error.code, "detail": error.body})
        self.status = f"{error.code} {error.reason}"
        self.response_headers.append(("Content-Type", "application/problem+json"))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body.encode())


class Connection(HTTPChannel):  # type: ignore[misc]
    """One connection. Its `server` has the attributes `memory`, `unexpected` and `count_invalid`; see Server."""

    parser_class = Parser
    error_task_class = ProblemTask
    began = 0.0  # when the unfinished request began
    has_request = False  # whether a byte of any request arrived

    def readable(self) -> bool:
        """Whether to read from the socket now: not while complete requests take too much memory."""
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
        super().service()
        self.server.memory.update(self)

    def del_channel(self, map: Any = None) -> None:
        """Forget the connection when it is closed."""
        super().del_channel(map)
        self.server.memory.forget(self)

    @property
    def unfinished(self) -> int:
        """The bytes of the request that has not arrived completely."""
        return _size(self.request)

    @property
    def waiting(self) -> int:
        """The bytes of the complete requests that have no response yet."""
        return sum(map(_size, list(self.requests)))

    def handle_error(self) -> None:
        """Log an unexpected error without its message, which might quote a request, and close the connection."""
        kind, _, place = sys.exc_info()
        self.server.unexpected.log(kind, place)
        self.handle_close()


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
        """Whether no more bytes must be read until requests get their responses."""
        return self._waiting > MAX_WAITING

    def update(self, connection: Connection) -> None:
        """Count what the connection holds now."""
        self._set(connection, (connection.unfinished, connection.waiting))

    def forget(self, connection: Connection) -> None:
        """Count a closed connection no more."""
        self._set(connection, (0, 0))

    def excess(self) -> list[Connection]:
        """Return the connections to close, those whose unfinished request began first, to stay within the limit.

        An honest request arrives within moments, so this hits senders that send a part of a request and then wait.
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

    def _set(self, connection: Connection, held: tuple[int, int]) -> None:
        with self._lock:
            before = self._held.pop(connection, (0, 0))
            if any(held):
                self._held[connection] = held
            self._unfinished += held[0] - before[0]
            self._waiting += held[1] - before[1]
