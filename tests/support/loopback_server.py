"""A server on a loopback port for the tests of delivery, and a minimal collector."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from hushtally.client_sdk.protocol.report import Batch


class Loopback:
    """A server on a loopback port that reads each request and then passes the connection to `behave`."""

    def __init__(self, behave: Callable[[socket.socket, bytes], None], *, read: bool = True) -> None:
        self.requests: list[bytes] = []
        self._behave = behave
        self._read = read
        self._open: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.settimeout(3_600)
            request = read_request(connection) if self._read else b""
            self.requests.append(request)
            self._behave(connection, request)

    def close(self) -> None:
        for one in (self._listening, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def read_request(connection: socket.socket) -> bytes:
    """Read one request with its body; raise ConnectionError if the connection closes before the end."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += received(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        body += received(connection)
    return head + b"\r\n\r\n" + body


def received(connection: socket.socket) -> bytes:
    part = connection.recv(65_536)
    if not part:
        raise ConnectionError("the connection closed early")  # the client was killed
    return part


def http_answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """A complete HTTP response."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Content-Type: application/json", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


class CountingCollector:
    """A collector without a database: it counts each batch once and answers a retry like the first request."""

    def __init__(self) -> None:
        self.batches: dict[str, Batch] = {}
        self.received = 0
        self._lock = threading.Lock()

    def __call__(self, connection: socket.socket, request: bytes) -> None:
        batch = Batch.decode(request.partition(b"\r\n\r\n")[2])
        with self._lock:
            self.received += 1
            self.batches.setdefault(batch.id, batch)
        connection.sendall(http_answer(json.dumps({"accepted": len(batch.reports), "rejected": []}).encode()))

    @property
    def reports(self) -> list[Any]:
        return [report for batch in self.batches.values() for report in batch.reports]
