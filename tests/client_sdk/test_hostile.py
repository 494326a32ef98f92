"""A hostile collector: whatever it does, the app sees no exception, spends no epsilon, time or memory for it."""

from __future__ import annotations

import json
import logging
import socket
import struct
import threading
import time
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from client_sdk import delivery
from client_sdk.testing import ScriptedClock
from client_sdk.transport import HttpTransport
from hushtally import Client, Fault, Survey

Make = Callable[..., Client]
Behaviour = Callable[[socket.socket, bytes], None]

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def reset(connection: socket.socket, _: bytes) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def saying(*parts: bytes) -> Behaviour:
    """Sends these and closes."""
    return lambda connection, _: connection.sendall(b"".join(parts))


def hanging(*parts: bytes) -> Behaviour:
    """Sends these and hangs."""

    def behave(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"".join(parts))
        while connection.recv(1_000):
            pass

    return behave


def forever(head: bytes, again: bytes, pause: float = 0.0) -> Behaviour:
    """Sends one thing and then another without end."""

    def behave(connection: socket.socket, _: bytes) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(again)
            if pause:
                time.sleep(pause)

    return behave


def sized(body: bytes, *headers: bytes) -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return HEAD + lines + b"Content-Length: %d\r\n\r\n" % len(body) + body


def told(value: object, *headers: bytes) -> Behaviour:
    return saying(sized(json.dumps(value).encode(), *headers))


DEEP = b'{"accepted": 1, "rejected": ' + b"[" * 30_000

BEHAVIOURS: dict[str, Behaviour] = {
    "hangs before the head": hanging(),
    "hangs in the status line": hanging(b"HTTP/1.1 2"),
    "hangs in the headers": hanging(HEAD),
    "hangs in the body": hanging(HEAD, b"Content-Length: 20\r\n\r\n", b'{"accep'),
    "resets": reset,
    "closes at once": saying(),
    "closes in the headers": saying(HEAD),
    "closes in the body": saying(HEAD, b"Content-Length: 2000\r\n\r\n", b'{"accepted": 1, "rej'),
    "floods the status line": forever(b"", b"x" * 65_536),
    "floods the headers": forever(HEAD, b"X-Flood: " + b"x" * 60_000 + b"\r\n"),
    "floods with headers": forever(HEAD, b"A: b\r\n" * 10_000),
    "floods the body": forever(HEAD + b"\r\n", b" " * 65_536),
    "floods with chunks": forever(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n" * 10_000),
    "floods with a chunk's size": forever(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 65_536),
    "floods with trailers": forever(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"A: b\r\n" * 10_000),
    "continues for ever": forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000),
    "drips the headers": forever(HEAD, b"A: b\r\n", 0.02),
    "drips a header": forever(HEAD + b"A: ", b"b", 0.02),
    "drips the body": forever(HEAD + b"Content-Length: 60000\r\n\r\n", b" ", 0.02),
    "drips chunks": forever(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", 0.02),
    "ten megabytes": saying(sized(b" " * 10_000_000)),
    "ten megabytes of json": told({"accepted": 1, "rejected": [0] * 5_000_000}),
    "nested deep": saying(sized(DEEP)),
    "HTTP/0.9": saying(b"<html>hello</html>"),
    "another protocol": saying(b"220 mail.example ESMTP\r\n"),
    "a strange version": saying(b"HTTP/9.9 200 OK\r\n\r\n"),
    "a status that is none": saying(b"HTTP/1.1 two hundred\r\n\r\n"),
    "a status beyond": saying(b"HTTP/1.1 99999999999 OK\r\n\r\n"),
    "a negative length": saying(HEAD, b"Content-Length: -5\r\n\r\n{}"),
    "a length that is none": saying(HEAD, b"Content-Length: many\r\n\r\n{}"),
    "a chunk's size that is none": saying(HEAD, b"Transfer-Encoding: chunked\r\n\r\n-5\r\n{}"),
    "headers that are none": saying(b"HTTP/1.1 200 OK\r\n\x00\xff: \xfe\r\n:\r\n\r\n{}"),
    "another encoding": saying(sized(b"\x1f\x8b\x08\x00" + b"\x00" * 100, b"Content-Encoding: gzip")),
    "a list": told([]),
    "null": told(None),
    "a text": told("accepted"),
    "numbers as texts": told({"accepted": "1", "rejected": []}),
    "an object for a list": told({"accepted": 1, "rejected": {"index": 0}}),
    "strange rejections": told({"accepted": 0, "rejected": [{"index": {}, "reason": [], "retryable": None}]}),
    "an index beyond 64 bits": told({"accepted": 0, "rejected": [{"index": 10**400, "reason": "", "retryable": True}]}),
    "a redirect to itself": saying(b"HTTP/1.1 307 Again\r\nLocation: /v1/reports\r\nContent-Length: 0\r\n\r\n"),
    "a redirect elsewhere": saying(
        b"HTTP/1.1 308 Moved\r\nLocation: https://evil.example/\r\nContent-Length: 0\r\n\r\n"
    ),
    "busy for a century": saying(b"HTTP/1.1 503 Busy\r\nRetry-After: 3155760000\r\nContent-Length: 0\r\n\r\n"),
    "busy until the year 9999": saying(b"HTTP/1.1 429 Busy\r\nRetry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\n\r\n"),
    "out of order": saying(b"HTTP/1.1 500 Oops\r\n\r\n"),
    "a chunked lie": saying(HEAD, b"Transfer-Encoding: chunked\r\n\r\nffffffff\r\n", b"x" * 1_000),
    "a law": saying(b"HTTP/1.1 451 Canary\r\nContent-Length: 6\r\n\r\ncanary"),
    "a kind of its own": saying(b"HTTP/1.1 400 Canary\r\n\r\n", b'{"type": "urn:hushtally:canary"}'),
    "TLS": saying(b"\x15\x03\x03\x00\x02\x02\x28"),
}

ENDS: dict[str, tuple[Behaviour, dict[str, int]]] = {
    "a cookie": (
        told({"accepted": 1, "rejected": []}, b"Set-Cookie: id=1", b"Strict-Transport-Security: max-age=9"),
        {"delivered": 1},
    ),
    "a clock from another year": (
        told(
            {"accepted": 0, "rejected": [{"index": 0, "reason": "epoch_closed", "retryable": False}]},
            b"Date: Fri, 01 Jan 2077 00:00:00 GMT",
        ),
        {"rejected: epoch_closed": 1},
    ),
    "a reason of its own": (
        told({"accepted": 0, "rejected": [{"index": 0, "reason": "canary", "retryable": False, "more": "canary"}]}),
        {"rejected: other": 1},
    ),
    "a refusal": (
        saying(b"HTTP/1.1 400 Canary\r\n\r\n", b'{"type": "urn:hushtally:malformed", "title": "canary"}'),
        {"refused: malformed": 1},
    ),
}


@pytest.fixture(autouse=True)
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "TRY_SECONDS", 0.3)


@pytest.fixture
def late(clock: ScriptedClock) -> ScriptedClock:
    """The last second of a day: what is answered is sent at once."""
    clock.now = datetime(2026, 11, 2, 23, 59, 59, tzinfo=UTC)
    return clock


@pytest.mark.parametrize("behaviour", BEHAVIOURS.values(), ids=BEHAVIOURS)
def test_it_costs_the_app_nothing(
    behaviour: Behaviour, serve: Any, make_client: Make, late: ScriptedClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The batch waits, unchanged; nothing is drawn again; the call returns in time and its thread ends."""
    caplog.set_level(logging.DEBUG)
    server = serve(behaviour)
    faults: list[Fault] = []
    client = make_client(collector=server.url, transport=HttpTransport(), on_error=faults.append)
    client.record("purchase", amount=77.77, category="canary")
    began = time.monotonic()
    client.tick()
    assert not client.flush(0.5)
    assert time.monotonic() - began < 9
    status = client.status()
    assert faults == []
    assert status.waiting == 1
    assert status.counters == {}
    assert status.surveys[0].spent == 1.0
    assert 1 <= len(server.requests) < 12
    assert len(set(server.requests)) == 1
    assert b"canary" not in server.requests[0]
    assert "canary" not in caplog.text
    assert "77.77" not in caplog.text
    assert requests_end()


@pytest.mark.parametrize(("behaviour", "counters"), ENDS.values(), ids=ENDS)
def test_what_ends_a_batch_ends_it_once(
    behaviour: Behaviour,
    counters: dict[str, int],
    serve: Any,
    make_client: Make,
    late: ScriptedClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    server = serve(behaviour)
    client = make_client(collector=server.url, transport=HttpTransport())
    client.tick()
    assert client.flush(5.0)
    status = client.status()
    assert (status.waiting, status.counters, status.surveys[0].spent) == (0, counters, 1.0)
    assert len(server.requests) == 1
    assert "canary" not in caplog.text


def test_a_flood_is_not_kept(serve: Any, make_client: Make, late: ScriptedClock) -> None:
    """Hundreds of megabytes offered leave at most a few megabytes in use at any time."""
    floods = [name for name in BEHAVIOURS if name.startswith(("floods", "ten", "continues"))]
    for name in floods:
        server = serve(BEHAVIOURS[name])
        client = make_client(collector=server.url, transport=HttpTransport(), device=name)
        tracemalloc.start()
        client.tick()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        server.close()
        # of which the server's own buffers and the import of http are the most
        assert peak < 12_000_000, (name, peak)
    assert requests_end()


def test_a_survey_that_asks_for_more_than_the_app_allows_is_not_taken(make_survey: Callable[..., Survey]) -> None:
    """The bundled one, too: the ceilings are checked before anything is opened."""
    from hushtally import ClientError

    with pytest.raises(ClientError, match=r"asks for epsilon 2 .* max_epsilon = 1"):
        Client(make_survey(epsilon=2.0), collector="https://x.example", state=":memory:", max_epsilon=1.0)
    with pytest.raises(ClientError, match="may cost a device epsilon 28 in all"):
        Client(make_survey(), collector="https://x.example", state=":memory:", max_lifetime_epsilon=27.0)


def test_flush_returns_in_time_although_the_state_file_is_locked(
    make_client: Make, late: ScriptedClock, tmp_path: Any
) -> None:
    """Another process may hold it for seconds; what was asked for is done when it lets go."""
    import sqlite3

    client = make_client()
    client.tick()
    with sqlite3.connect(tmp_path / "state.db", isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        for timeout in (0.0, 0.2, -3.0):
            began = time.monotonic()
            client.flush(timeout)
            assert time.monotonic() - began < max(timeout, 0) + 5  # the file is awaited for ten seconds
        other.execute("ROLLBACK")
    other.close()


def test_flush_returns_in_time_whatever_another_thread_waits_for(
    serve: Any, make_client: Make, late: ScriptedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tick in a background thread hangs in a request, which keeps what it sends."""
    monkeypatch.setattr(delivery, "TRY_SECONDS", 10.0)
    server = serve(BEHAVIOURS["hangs before the head"])
    client = make_client(collector=server.url, transport=HttpTransport())
    ticking = threading.Thread(target=client.tick)
    ticking.start()
    while not server.requests:
        time.sleep(0.01)
    for timeout in (0.0, 0.3):
        began = time.monotonic()
        assert not client.flush(timeout)
        assert time.monotonic() - began < timeout + 5
    server.close()
    ticking.join(9)
    assert len(server.requests) == 1


def test_a_tick_keeps_to_its_time_over_many_batches(
    serve: Any,
    make_client: Make,
    make_survey: Callable[..., Survey],
    late: ScriptedClock,
    answer_of: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each slow answer is within the limit of a try, but not all together."""

    monkeypatch.setattr(delivery, "TRY_SECONDS", 5.0)
    pauses = [0.2]

    def slow(connection: socket.socket, _: bytes) -> None:
        time.sleep(pauses[0])
        connection.sendall(answer_of(b'{"accepted": 1, "rejected": []}'))

    server = serve(slow)
    surveys = [make_survey(f"s{number}") for number in range(30)]
    client = make_client(surveys, collector=server.url, transport=HttpTransport())
    began = time.monotonic()
    client.tick(1.0)
    assert time.monotonic() - began < 5
    delivered = client.status().counters["delivered"]
    assert 1 <= delivered < 30
    pauses[0] = 0.0
    late.advance(seconds=10)
    client.tick()
    assert client.status().counters["delivered"] >= 30


def requests_end(seconds: float = 20.0) -> bool:
    """Whether no thread of a request is left."""
    until = time.monotonic() + seconds
    while any(thread.name == "hushtally-request" for thread in threading.enumerate()):
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True
