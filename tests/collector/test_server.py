"""What waitress would answer or do by itself: the wire below the application."""

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
from hushtally.collector.server import MOST_READ, Server, ServerError, listen, places

Start = Callable[..., Any]
HEAD = b"POST /v1/reports HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


def answer(process: Any, request: bytes) -> tuple[bytes, Any]:
    """The head of the answer to these very bytes, and the problem in its body; the connection is closed after it."""
    with socket.create_connection(("127.0.0.1", process.port), timeout=120) as connection:
        connection.sendall(request)
        head, _, body = b"".join(iter(lambda: connection.recv(65_536), b"")).partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    return head, json.loads(body)


@pytest.mark.parametrize(
    "flood",
    [
        b"Content-Length: 1100000\r\n\r\n ",
        b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n" % MOST_READ + b" " * MOST_READ,
    ],
)
def test_a_flood_is_cut_off_with_the_same_words(flood: bytes, start: Start) -> None:
    """More than twice the limit is not even read to its end: refused, and counted, as any body too large."""
    process = start()
    head, problem = answer(process, HEAD + flood)
    assert head.startswith(b"HTTP/1.1 413 "), problem
    assert (problem["type"], problem["status"]) == ("urn:hushtally:too_large", 413)
    assert problem["detail"] == "the body must have at most 262,144 bytes"
    assert process.metrics()['hushtally_batches_refused_total{reason="too_large"}'] == 1


@pytest.mark.parametrize("wrong", [b"Content-Length: many\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n?\r\n"])
def test_what_is_no_http_is_no_word_on_a_batch(wrong: bytes, start: Start) -> None:
    """No type of ours: a proxy may have spoiled it on the way, and a device shall try again."""
    head, problem = answer(start(), HEAD + wrong)
    assert head.startswith(b"HTTP/1.1 400 ")
    assert (problem["type"], problem["status"]) == ("about:blank", 400)


def test_no_body_is_written_to_a_temporary_file(survey: Survey, tmp_path: Path) -> None:
    """Waitress would, from a size on; it is above that at which a body is cut off, with the last piece that came."""
    app = create_app([survey], tmp_path / "counts.db", clock=lambda: survey.starts)
    with listen("127.0.0.1", 0) as listening:
        server = Server(app, listening, 1)
        server._drain()
        settings = server._server.adj
    app.extensions["hushtally"].close()
    assert settings.max_request_body_size + settings.recv_bytes < settings.inbuf_overflow


@pytest.mark.parametrize(
    ("limits", "raised", "found"),
    [
        ((1_024, 4_096), None, 900),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), None, 900),
        ((256, resource.RLIM_INFINITY), (964, resource.RLIM_INFINITY), 900),
        ((256, 512), (512, 512), 448),
        ((256, 256), None, 192),
        ((96, 96), None, 32),
    ],
)
def test_there_are_no_more_connections_than_files_may_be_open(
    limits: tuple[int, int], raised: tuple[int, int] | None, found: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond that limit none could be taken and none be refused; it is raised as far as it goes."""
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: asked.append(wanted))
    assert places() == found
    assert asked == ([] if raised is None else [raised])


def test_a_system_without_that_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hushtally.collector.server.resource", None)
    assert places() == 900


def test_hardly_any_open_files_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (95, 95))
    with pytest.raises(ServerError) as caught:
        places()
    assert str(caught.value) == (
        "the limit of open files (ulimit -n, LimitNOFILE) must be at least 96, better 964, but it is 95"
    )


def test_a_crowd_is_told_of_once(
    survey: Survey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """However often places come free and are taken again; and when there was room for a minute."""
    now = [1_000.0]
    monkeypatch.setattr(module, "places", lambda: 192)
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
            server._tell_crowd()
        monkeypatch.undo()
        server._drain()
        assert server._server.adj.connection_limit == 192
    app.extensions["hushtally"].close()
    line = "new connections wait: all 192 are taken"
    assert [record.getMessage() for record in caplog.records] == [f"{line}; told once", f"no longer: {line}"]
