"""The server below the application: what waitress would respond or do by itself."""

from __future__ import annotations

import json
import resource
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hushtally.client_sdk.survey import Survey
from hushtally.collector import server as module
from hushtally.collector.app import create_app
from hushtally.collector.connection import Connection
from hushtally.collector.server import MAX_READ, Server, ServerError, connection_limit, listen

Start = Callable[..., Any]
HEAD = b"POST /v1/reports HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


def send(process: Any, request: bytes) -> tuple[bytes, Any]:
    """Sends the bytes; returns the head of the response and the problem in its body, once the server disconnects."""
    with socket.create_connection(("127.0.0.1", process.port), timeout=120) as connection:
        connection.sendall(request)
        head, _, body = b"".join(iter(lambda: connection.recv(65_536), b"")).partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    return head, json.loads(body)


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 1100000\r\n\r\n ",
        b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n" % MAX_READ + b" " * MAX_READ,
    ],
)
def test_a_huge_body_is_cut_off_and_gets_the_usual_refusal(body: bytes, start: Start) -> None:
    """A body above twice the limit is not read to its end. It is refused and counted like other large bodies."""
    process = start()
    head, problem = send(process, HEAD + body)
    assert head.startswith(b"HTTP/1.1 413 "), problem
    assert (problem["type"], problem["status"]) == ("urn:hushtally:too_large", 413)
    assert problem["detail"] == "the body must have at most 262,144 bytes"
    assert process.metrics()['hushtally_batches_refused_total{reason="too_large"}'] == 1


@pytest.mark.parametrize("invalid", [b"Content-Length: many\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n?\r\n"])
def test_invalid_http_is_not_refused_as_a_batch(invalid: bytes, start: Start) -> None:
    """The type is about:blank: a proxy may have damaged the request, and the device must retry."""
    head, problem = send(start(), HEAD + invalid)
    assert head.startswith(b"HTTP/1.1 400 ")
    assert (problem["type"], problem["status"]) == ("about:blank", 400)


def test_no_body_is_written_to_a_temporary_file(survey: Survey, tmp_path: Path) -> None:
    """Waitress writes a body to a file above a size; a body is cut off before it reaches this size."""
    app = create_app([survey], tmp_path / "counts.db", clock=lambda: survey.starts)
    with listen("127.0.0.1", 0) as listening:
        server = Server(app, listening, 1)
        server._drain()
        settings = server._server.adj
    app.extensions["hushtally"].close()
    assert settings.max_request_body_size + settings.recv_bytes < settings.inbuf_overflow


@pytest.mark.parametrize(
    ("limits", "raised", "connections"),
    [
        ((1_024, 4_096), None, 900),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), None, 900),
        ((256, resource.RLIM_INFINITY), (964, resource.RLIM_INFINITY), 900),
        ((256, 512), (512, 512), 448),
        ((256, 256), None, 192),
        ((96, 96), None, 32),
    ],
)
def test_the_limit_on_open_files_limits_the_connections(
    limits: tuple[int, int], raised: tuple[int, int] | None, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the limit on open files, the server could neither accept nor refuse a connection.

    The process raises its limit if that is allowed.
    """
    requested: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: requested.append(wanted))
    assert connection_limit() == connections
    assert requested == ([] if raised is None else [raised])


def test_a_system_without_a_limit_on_open_files_gets_the_maximum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hushtally.collector.server.resource", None)
    assert connection_limit() == 900


def test_a_limit_on_open_files_that_is_too_low_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (95, 95))
    with pytest.raises(ServerError) as caught:
        connection_limit()
    assert str(caught.value) == (
        "the limit on open files (ulimit -n, LimitNOFILE) must be at least 96, better 964, but it is 95"
    )


def test_too_many_connections_are_logged_once(
    survey: Survey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has one line however often connections become free, and one line after a minute without overflow."""
    now = [1_000.0]
    monkeypatch.setattr(module, "connection_limit", lambda: 192)
    app = create_app([survey], tmp_path / "counts.db", clock=lambda: survey.starts)
    with listen("127.0.0.1", 0) as listening:
        server = Server(app, listening, 1)
        monkeypatch.setattr(module, "monotonic", lambda: now[0])
        for now[0], full in (
            (1.0, False),
            (100.0, True),
            (110.0, False),
            (130.0, True),
            (189.0, False),
            (190.0, False),
        ):
            server._server.in_connection_overflow = full
            server._log_overflow()
        monkeypatch.undo()
        server._drain()
        assert server._server.adj.connection_limit == 192
    app.extensions["hushtally"].close()
    line = "new connections are waiting: all 192 connections are in use"
    assert [record.getMessage() for record in caplog.records] == [f"{line} (logged once)", f"resolved: {line}"]


def test_a_connection_that_closes_while_its_request_is_answered_holds_no_memory(survey: Survey, tmp_path: Path) -> None:
    """The thread that answers ends after the connection was forgotten; otherwise such senders would fill the memory."""
    app = create_app([survey], tmp_path / "counts.db", clock=lambda: survey.starts)
    ours, theirs = socket.socketpair()
    with listen("127.0.0.1", 0) as listening, theirs:
        server = Server(app, listening, 1)
        connection = Connection(server._server, ours, ("", 0), server._server.adj, map={})

        def disconnect(_environ: Any, start_response: Callable[..., Any]) -> list[bytes]:
            connection.handle_close()
            start_response("200 OK", [])
            return [b""]

        server._server.application = disconnect
        server._server.add_task = lambda _: None
        request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n" + b" " * 9
        connection.received(request * 2 + request[:-1])
        memory = server._memory
        assert all(connection.held)
        connection.service()
        assert (memory._held, memory._unfinished, memory._waiting) == ({}, 0, 0)
        server._drain()
    app.extensions["hushtally"].close()
