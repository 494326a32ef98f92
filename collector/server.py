"""The embedded HTTP server: waitress with limits on connections, and a shutdown that finishes requests in progress."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from types import FrameType

from flask import Flask
from waitress import create_server, wasyncore  # type: ignore[import-untyped]
from waitress.channel import HTTPChannel  # type: ignore[import-untyped]
from waitress.parser import HTTPRequestParser  # type: ignore[import-untyped]
from waitress.task import ErrorTask  # type: ignore[import-untyped]
from waitress.utilities import RequestEntityTooLarge  # type: ignore[import-untyped]

from hushtally.client_sdk.errors import HushtallyError
from hushtally.client_sdk.protocol.report import MAX_BYTES
from hushtally.collector.problem_log import ProblemLog

try:
    import resource
except ImportError:  # Windows has no such limit
    resource = None  # type: ignore[assignment]

GRACE_PERIOD = 10.0  # seconds that requests in progress may take after the signal
POLL_INTERVAL = 1.0  # seconds, at most, between checks for a signal and for too many connections
IDLE_TIMEOUT = 15  # seconds after which an idle connection is closed, to make room for other connections
MAX_READ = 2 * MAX_BYTES  # bytes of a body; a larger body is cut off at this size
MAX_CONNECTIONS = 900  # below the usual limit of 1,024 open files
MIN_CONNECTIONS = 32
RESERVED_FILES = 64  # open files for everything else: the database, its log, SQLite's temporary files, the threads
OVERFLOW_MEMORY = 60.0  # seconds without too many connections after which the problem counts as resolved


class ServerError(HushtallyError):
    """The server cannot listen on the requested address, or the limit on open files is too low."""


def listen(host: str, port: int) -> socket.socket:
    """Returns a socket that listens on host:port (port 0: any free port). Raises ServerError if it cannot."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family, backlog=1024)
    except socket.gaierror as error:
        why = error.strerror
    except UnicodeError:
        why = "this is not a valid host name"
    except OSError as error:
        why = os.strerror(error.errno or 0)
    raise ServerError(f"cannot listen on {host}:{port}: {why}")


def address(listening: socket.socket) -> str:
    """Returns the URL of a listening socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def connection_limit() -> int:
    """Returns how many connections may be open, from MIN_CONNECTIONS to MAX_CONNECTIONS.

    Increases this process's limit on open files if necessary. Raises ServerError if the limit stays too low: when the
    limit is reached, accepting a connection fails, and the server would retry without a pause.
    """
    if resource is None:
        return MAX_CONNECTIONS
    wanted = MAX_CONNECTIONS + RESERVED_FILES
    soft, hard = (wanted if limit == resource.RLIM_INFINITY else limit for limit in _open_file_limits())
    if soft < wanted and soft < hard:
        soft = min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, _open_file_limits()[1]))
    limit = min(MAX_CONNECTIONS, soft - RESERVED_FILES)
    if limit < MIN_CONNECTIONS:
        raise ServerError(
            f"the limit on open files (ulimit -n, LimitNOFILE) must be at least {MIN_CONNECTIONS + RESERVED_FILES},"
            f" better {wanted}, but it is {soft}"
        )
    return limit


def _open_file_limits() -> tuple[int, int]:
    return resource.getrlimit(resource.RLIMIT_NOFILE)


class _Parser(HTTPRequestParser):  # type: ignore[misc]
    """Leaves the refusal of a body that exceeds MAX_READ to the application."""

    def received(self, data: bytes) -> int:
        taken: int = super().received(data)
        if isinstance(self.error, RequestEntityTooLarge):  # type: ignore[has-type]
            self.error = None
            self.headers["CONNECTION"] = "close"
        return taken


class _ProblemTask(ErrorTask):  # type: ignore[misc]
    """Waitress's own response to invalid HTTP. The response is not about a batch, so its type is about:blank."""

    def execute(self) -> None:
        error = self.request.error
        body = json.dumps({"type": "about:blank", "title": error.reason, "status": error.code, "detail": error.body})
        self.status = f"{error.code} {error.reason}"
        self.response_headers.append(("Content-Type", "application/problem+json"))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body.encode())


class _Channel(HTTPChannel):  # type: ignore[misc]
    parser_class = _Parser
    error_task_class = _ProblemTask


class Server:
    """Serves an application on a socket until a signal to stop, and then finishes the requests in progress."""

    def __init__(self, app: Flask, listening: socket.socket, threads: int) -> None:
        # waitress logs a warning when requests queue for a thread, which is normal here, and when connections reach the
        # limit, which _log_overflow logs
        logging.getLogger("waitress").setLevel(logging.ERROR)
        self._connection_limit = connection_limit()
        self._overflow_log, self._overflow_until = ProblemLog(), 0.0
        self._socket_map: dict[int, object] = {}
        self._stopping = threading.Event()
        self._server = create_server(
            app.wsgi_app,
            map=self._socket_map,
            sockets=[listening],
            threads=threads,
            ident=None,
            max_request_body_size=MAX_READ,
            inbuf_overflow=2 * MAX_READ,  # above this size waitress would write the body to a temporary file
            log_socket_errors=False,
            connection_limit=self._connection_limit,
            channel_timeout=IDLE_TIMEOUT,
            cleanup_interval=5,
        )
        self._server.channel_class = _Channel

    def run(self, ready: Callable[[], None]) -> None:
        """Serves until a signal arrives, and returns when all requests are finished. Call this in the main thread.

        ready: called when the server accepts connections and a signal would stop it cleanly.
        """
        with self._signals():
            ready()
            while not self._stopping.is_set():
                self._poll(POLL_INTERVAL)
                self._log_overflow()
            self._drain()

    def _log_overflow(self) -> None:
        if self._server.in_connection_overflow:
            self._overflow_until = monotonic() + OVERFLOW_MEMORY
        overflow = monotonic() < self._overflow_until
        self._overflow_log.update(
            [f"new connections are waiting: all {self._connection_limit} connections are in use"] if overflow else []
        )

    def _drain(self) -> None:
        self._server.accepting = False
        self._server.del_channel()
        self._server.socket.close()
        deadline = monotonic() + GRACE_PERIOD
        while self._close_idle() and monotonic() < deadline:
            self._poll(0.1)
        self._server.task_dispatcher.shutdown()
        wasyncore.close_all(self._socket_map)

    def _close_idle(self) -> bool:
        """Closes the connections without a request. Returns whether other connections are left."""
        for channel in list(self._server.active_channels.values()):
            if not channel.requests and channel.request is None and not channel.total_outbufs_len:
                channel.handle_close()
        return bool(self._server.active_channels)

    def _poll(self, timeout: float) -> None:
        wasyncore.loop(timeout=timeout, map=self._socket_map, count=1, use_poll=True)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def stop(_number: int, _frame: FrameType | None) -> None:
            self._stopping.set()
            self._server.pull_trigger()

        before = {number: signal.signal(number, stop) for number in _stop_signals()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _stop_signals() -> list[signal.Signals]:
    """SIGTERM, SIGINT, and SIGHUP, which arrives when the terminal is closed, unless `nohup` made it ignored."""
    found = [signal.SIGTERM, signal.SIGINT]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # Windows has none
        found.append(signal.SIGHUP)
    return found
