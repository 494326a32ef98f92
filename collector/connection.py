"""Connections: reads the bytes of a sender before the application sees a request.

Every answer to invalid bytes is a problem document. No log line contains anything that a sender wrote.
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
            self._refuse("the head of the request cannot be read")
        if isinstance(self.error, RequestEntityTooLarge):  # type: ignore[has-type]
            self.error = None
            self.headers["CONNECTION"] = "close"
            self.headers["CONTENT_LENGTH"] = str(MAX_READ)  # the application then refuses a chunked body that was cut
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
    """One connection. Its `server` needs the attributes `memory`, `unexpected` and `count_invalid`; see Server."""

    parser_class = Parser
    error_task_class = ProblemTask
    began = 0.0  # when the unfinished request began
    has_request = False  # whether a byte of any request arrived

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
        super().service()
        self.server.memory.update(self)

    def del_channel(self, map: Any = None) -> None:
        """Forget the connection when it is closed."""
        super().del_channel(map)
        self.server.memory.forget(self)

    @property
    def unfinished(self) -> int:
        """The number of bytes of the incomplete request; 0 if there is none."""
        return _size(self.request)

    @property
    def waiting(self) -> int:
        """The number of bytes of the complete requests that have no response yet."""
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
        """Whether reading must pause until waiting requests get their responses."""
        return self._waiting > MAX_WAITING

    def update(self, connection: Connection) -> None:
        """Store how many bytes the connection holds now."""
        self._set(connection, (connection.unfinished, connection.waiting))

    def forget(self, connection: Connection) -> None:
        """Stop counting a closed connection."""
        self._set(connection, (0, 0))

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

    def _set(self, connection: Connection, held: tuple[int, int]) -> None:
        with self._lock:
            before = self._held.pop(connection, (0, 0))
            if any(held):
                self._held[connection] = held
            self._unfinished += held[0] - before[0]
            self._waiting += held[1] - before[1]
