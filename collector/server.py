"""The embedded HTTP server: waitress with connection limits and a graceful shutdown."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic, time
from types import FrameType

from flask import Flask
from waitress import create_server, wasyncore  # type: ignore[import-untyped]
from waitress.task import ThreadedTaskDispatcher  # type: ignore[import-untyped]

from hushtally.client_sdk.errors import HushtallyError
from hushtally.collector.connection import MAX_READ, Connection, Memory, is_readable
from hushtally.collector.metrics import Metrics
from hushtally.collector.problem_log import ProblemLog
from hushtally.collector.refusal_log import RefusalLog
from hushtally.collector.unexpected import Unexpected

try:
    import resource
except ImportError:  # Windows has no limit on open files
    resource = None  # type: ignore[assignment]

GRACE_PERIOD = 10.0  # seconds that requests in progress may take after the signal
POLL_INTERVAL = 1.0  # the maximum number of seconds between checks for a signal and for too many connections
IDLE_TIMEOUT = 15  # seconds after which an idle connection is closed, to make room for other connections
FIRST_REQUEST = 1.0  # seconds that a new connection has for its first request while the server stops
MEMORY_PATHS = ("/healthz", "/metrics")  # answered from memory, even while all other threads wait for the database
MEMORY_THREADS = 2
INVALID_HTTP = "invalid HTTP"
MAX_CONNECTIONS = 900  # below the usual limit of 1,024 open files
MIN_CONNECTIONS = 32
RESERVED_FILES = 64  # open files for other uses: the database, its log, SQLite's temporary files, the threads
OVERFLOW_MEMORY = 60.0  # seconds without too many connections after which the problem counts as resolved


class ServerError(HushtallyError):
    """The server cannot listen on the requested address, or the limit on open files is too low."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on host:port (port 0: any free port). Raises ServerError if this fails."""
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
    """Return the URL of a listening socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def connection_limit() -> int:
    """Return the number of connections that may be open, from MIN_CONNECTIONS to MAX_CONNECTIONS.

    Increases this process's limit on open files if necessary. Raises ServerError if the limit is still too low. At the
    limit, accepting a connection would fail, and the server would retry without a pause.
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


class Server:
    """Serves an application on a socket until a signal to stop, and then finishes the requests in progress."""

    def __init__(self, app: Flask, listening: socket.socket, threads: int) -> None:
        self._metrics: Metrics = app.extensions["hushtally_metrics"]
        self._refusal_log: RefusalLog = app.extensions["hushtally_refusals"]
        self._unexpected: Unexpected = app.extensions["hushtally_unexpected"]
        # waitress warns when requests queue for a thread, which is normal here, and when connections reach the limit,
        # which _log_overflow logs; its errors quote what a sender wrote, so `Unexpected` replaces them
        waitress_log = logging.getLogger("waitress")
        waitress_log.handlers, waitress_log.propagate = [self._unexpected], False
        waitress_log.setLevel(logging.ERROR)
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
        self._memory_threads = ThreadedTaskDispatcher()
        self._memory_threads.set_thread_count(MEMORY_THREADS)
        self._server.channel_class = Connection
        self._server.add_task = self._add_task
        self._server.memory = self._memory = Memory()
        self._server.unexpected = self._unexpected
        self._server.stopping = self._stopping
        self._server.count_invalid = self._count_invalid

    def run(self, ready: Callable[[], None]) -> None:
        """Serve until a signal arrives, and return when all requests are finished. Call this in the main thread.

        ready: called when the server accepts connections and a signal stops it cleanly.
        """
        with self._signals():
            ready()
            while not self._stopping.is_set():
                self._poll(POLL_INTERVAL)
                self._log_overflow()
                self._refusal_log.flush()
                for connection in self._memory.excess():
                    self._refusal_log.count("requests that did not arrive completely took too much memory")
                    connection.handle_close()
            self._drain()

    def _add_task(self, connection: Connection) -> None:
        """Pass the first request of a connection to a thread."""
        from_memory = getattr(connection.requests[0], "path", None) in MEMORY_PATHS
        (self._memory_threads if from_memory else self._server.task_dispatcher).add_task(connection)

    def _count_invalid(self) -> None:
        self._metrics.count_invalid()
        self._refusal_log.count(INVALID_HTTP)

    def _log_overflow(self) -> None:
        if self._server.in_connection_overflow:
            self._overflow_until = monotonic() + OVERFLOW_MEMORY
        overflow = monotonic() < self._overflow_until
        self._overflow_log.update(
            [f"new connections are waiting: all {self._connection_limit} connections are in use"] if overflow else []
        )

    def _drain(self) -> None:
        self._accept_waiting()
        self._server.accepting = False
        self._server.del_channel()
        self._server.socket.close()
        deadline = monotonic() + GRACE_PERIOD
        while self._close_idle() and monotonic() < deadline:
            self._poll(0.1)
        self._server.task_dispatcher.shutdown()
        self._memory_threads.shutdown()
        wasyncore.close_all(self._socket_map)

    def _accept_waiting(self) -> None:
        """Accept the connections that arrived before the signal."""
        while is_readable(self._server.socket) and len(self._server.active_channels) < self._connection_limit:
            self._server.handle_accept()

    def _close_idle(self) -> bool:
        """Close the connections that have no request. Return whether other connections are left."""
        for connection in list(self._server.active_channels.values()):
            idle = not connection.requests and connection.request is None and not connection.total_outbufs_len
            is_new = not connection.has_request and time() < connection.creation_time + FIRST_REQUEST
            if idle and not is_new and not is_readable(connection.socket):
                connection.handle_close()
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
