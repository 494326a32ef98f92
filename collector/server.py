"""The embedded server: waitress, stopped by a signal only after what it began is finished."""

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

GRACE = 10.0  # seconds that requests may still take after the signal
TICK = 1.0  # seconds between looks at idle connections
IDLE = 15  # seconds that a connection may wait for nothing: others may need its place
MOST_READ = 2 * MAX_BYTES  # of a body; one that is larger still is cut off there
MOST_CONNECTIONS = 900  # below the usual limit of 1,024 open files
FEWEST_CONNECTIONS = 32
RESERVE = 64  # open files for all but connections: the database, its log, what SQLite sets aside, the threads' own
CROWD = 60.0  # seconds without one after which there is no longer a crowd


class ServerError(HushtallyError):
    """The server cannot listen where it was told to."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections at host:port (port 0: any that is free); ServerError if it cannot."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family, backlog=1024)
    except socket.gaierror as error:
        why = error.strerror
    except UnicodeError:
        why = "that is no name of a host"
    except OSError as error:
        why = os.strerror(error.errno or 0)
    raise ServerError(f"cannot listen at {host}:{port}: {why}")


def address(listening: socket.socket) -> str:
    """The address of a listening socket, as people write it in a browser."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def places() -> int:
    """How many connections may be open; ServerError where the limit of open files leaves hardly any.

    Beyond that limit every attempt to take a connection fails, and comes again at once. The limit is raised as far as
    this process may.
    """
    if resource is None:
        return MOST_CONNECTIONS
    wanted = MOST_CONNECTIONS + RESERVE
    soft, hard = (wanted if limit == resource.RLIM_INFINITY else limit for limit in _limits())
    if soft < wanted and soft < hard:
        soft = min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, _limits()[1]))
    found = min(MOST_CONNECTIONS, soft - RESERVE)
    if found < FEWEST_CONNECTIONS:
        raise ServerError(
            f"the limit of open files (ulimit -n, LimitNOFILE) must be at least {FEWEST_CONNECTIONS + RESERVE},"
            f" better {wanted}, but it is {soft}"
        )
    return found


def _limits() -> tuple[int, int]:
    return resource.getrlimit(resource.RLIMIT_NOFILE)


class _Parser(HTTPRequestParser):  # type: ignore[misc]
    """Leaves it to the application to refuse a body that is too long to be read to its end."""

    def received(self, data: bytes) -> int:
        taken: int = super().received(data)
        if isinstance(self.error, RequestEntityTooLarge):  # type: ignore[has-type]
            self.error = None
            self.headers["CONNECTION"] = "close"
        return taken


class _ProblemTask(ErrorTask):  # type: ignore[misc]
    """Waitress's own answer to what is no request; no word on a batch, so it has no type of ours."""

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
    """Serves an application on a socket until SIGTERM or SIGINT; then finishes the requests that it has begun."""

    def __init__(self, app: Flask, listening: socket.socket, threads: int) -> None:
        # more requests than threads is what groups are for; of a crowd of connections it would tell each time
        logging.getLogger("waitress").setLevel(logging.ERROR)
        self._places = places()
        self._crowded, self._crowded_until = ProblemLog(), 0.0
        self._map: dict[int, object] = {}
        self._stopping = threading.Event()
        self._server = create_server(
            app.wsgi_app,
            map=self._map,
            sockets=[listening],
            threads=threads,
            ident=None,
            max_request_body_size=MOST_READ,
            inbuf_overflow=2 * MOST_READ,  # beyond it waitress takes a temporary file: no body goes to the disk
            log_socket_errors=False,
            connection_limit=self._places,
            channel_timeout=IDLE,
            cleanup_interval=5,
        )
        self._server.channel_class = _Channel

    def run(self, ready: Callable[[], None]) -> None:
        """Serves. Only in the main thread, where signals arrive; returns when all is finished.

        ready: called once connections are taken and signals end them cleanly.
        """
        with self._signals():
            ready()
            while not self._stopping.is_set():
                self._loop(TICK)
                self._tell_crowd()
            self._drain()

    def _tell_crowd(self) -> None:
        if self._server.in_connection_overflow:
            self._crowded_until = monotonic() + CROWD
        crowded = monotonic() < self._crowded_until
        self._crowded.update([f"new connections wait: all {self._places} are taken"] if crowded else [])

    def _drain(self) -> None:
        self._server.accepting = False
        self._server.del_channel()
        self._server.socket.close()
        give_up = monotonic() + GRACE
        while self._busy() and monotonic() < give_up:
            self._loop(0.1)
        self._server.task_dispatcher.shutdown()
        wasyncore.close_all(self._map)

    def _busy(self) -> bool:
        """Closes the connections that wait for nothing; whether there are others."""
        for channel in list(self._server.active_channels.values()):
            if not channel.requests and channel.request is None and not channel.total_outbufs_len:
                channel.handle_close()
        return bool(self._server.active_channels)

    def _loop(self, timeout: float) -> None:
        wasyncore.loop(timeout=timeout, map=self._map, count=1, use_poll=True)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def stop(_number: int, _frame: FrameType | None) -> None:
            self._stopping.set()
            self._server.pull_trigger()

        before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
