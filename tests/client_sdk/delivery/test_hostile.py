"""A hostile collector causes no exception in the app and costs no epsilon, and little time and memory."""

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
from types import SimpleNamespace
from typing import Any

import pytest

from hushtally import Client, Fault, Survey
from hushtally.client_sdk.delivery import http_attempt, sender  # noqa: F401  (loads TLS before the first request)
from hushtally.client_sdk.delivery.http import HttpTransport
from hushtally.client_sdk.delivery.transport import Response
from hushtally.client_sdk.testing import Recorder, ScriptedClock, SeededRandomness

Make = Callable[..., Client]
Behaviour = Callable[[socket.socket, bytes], None]

MUST_END = 120.0  # seconds, even on a very slow machine

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def reset(connection: socket.socket, _: bytes) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def sending(*parts: bytes) -> Behaviour:
    """Sends these bytes and closes the connection."""
    return lambda connection, _: connection.sendall(b"".join(parts))


def hanging(*parts: bytes) -> Behaviour:
    """Sends these bytes and keeps the connection open."""

    def behave(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"".join(parts))
        while connection.recv(1_000):
            pass

    return behave


def forever(head: bytes, rest: bytes, pause: float = 0.0) -> Behaviour:
    """Sends the head, and then repeats the rest without end."""

    def behave(connection: socket.socket, _: bytes) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(rest)
            if pause:
                time.sleep(pause)

    return behave


def with_length(body: bytes, *headers: bytes) -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return HEAD + lines + b"Content-Length: %d\r\n\r\n" % len(body) + body


def json_response(value: object, *headers: bytes) -> Behaviour:
    return sending(with_length(json.dumps(value).encode(), *headers))


DEEP = b'{"accepted": 1, "rejected": ' + b"[" * 30_000

BEHAVIOURS: dict[str, Behaviour] = {
    "hangs before the head": hanging(),
    "hangs in the status line": hanging(b"HTTP/1.1 2"),
    "hangs in the headers": hanging(HEAD),
    "hangs in the body": hanging(HEAD, b"Content-Length: 20\r\n\r\n", b'{"accep'),
    "resets": reset,
    "closes at once": sending(),
    "closes in the headers": sending(HEAD),
    "closes in the body": sending(HEAD, b"Content-Length: 2000\r\n\r\n", b'{"accepted": 1, "rej'),
    "floods the status line": forever(b"", b"x" * 65_536),
    "floods the headers": forever(HEAD, b"X-Flood: " + b"x" * 60_000 + b"\r\n"),
    "floods with headers": forever(HEAD, b"A: b\r\n" * 10_000),
    "floods the body": forever(HEAD + b"\r\n", b" " * 65_536),
    "floods with chunks": forever(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n" * 10_000),
    "floods with a chunk's size": forever(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 65_536),
    "floods with trailers": forever(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"A: b\r\n" * 10_000),
    "continues forever": forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000),
    "drips the headers": forever(HEAD, b"A: b\r\n", 0.02),
    "drips a header": forever(HEAD + b"A: ", b"b", 0.02),
    "drips the body": forever(HEAD + b"Content-Length: 60000\r\n\r\n", b" ", 0.02),
    "drips chunks": forever(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", 0.02),
    "ten megabytes": sending(with_length(b" " * 10_000_000)),
    "ten megabytes of json": json_response({"accepted": 1, "rejected": [0] * 5_000_000}),
    "nested deeply": sending(with_length(DEEP)),
    "HTTP/0.9": sending(b"<html>hello</html>"),
    "another protocol": sending(b"220 mail.example ESMTP\r\n"),
    "a strange version": sending(b"HTTP/9.9 200 OK\r\n\r\n"),
    "a status that is not a number": sending(b"HTTP/1.1 two hundred\r\n\r\n"),
    "a status that is too large": sending(b"HTTP/1.1 99999999999 OK\r\n\r\n"),
    "a negative length": sending(HEAD, b"Content-Length: -5\r\n\r\n{}"),
    "a length that is not a number": sending(HEAD, b"Content-Length: many\r\n\r\n{}"),
    "a negative chunk size": sending(HEAD, b"Transfer-Encoding: chunked\r\n\r\n-5\r\n{}"),
    "invalid headers": sending(b"HTTP/1.1 200 OK\r\n\x00\xff: \xfe\r\n:\r\n\r\n{}"),
    "another encoding": sending(with_length(b"\x1f\x8b\x08\x00" + b"\x00" * 100, b"Content-Encoding: gzip")),
    "a list": json_response([]),
    "null": json_response(None),
    "a string": json_response("accepted"),
    "numbers as strings": json_response({"accepted": "1", "rejected": []}),
    "an object instead of a list": json_response({"accepted": 1, "rejected": {"index": 0}}),
    "rejections of wrong types": json_response(
        {"accepted": 0, "rejected": [{"index": {}, "reason": [], "retryable": None}]}
    ),
    "an index beyond 64 bits": json_response(
        {"accepted": 0, "rejected": [{"index": 10**400, "reason": "", "retryable": True}]}
    ),
    "a redirect to itself": sending(b"HTTP/1.1 307 Again\r\nLocation: /v1/reports\r\nContent-Length: 0\r\n\r\n"),
    "a redirect elsewhere": sending(
        b"HTTP/1.1 308 Moved\r\nLocation: https://evil.example/\r\nContent-Length: 0\r\n\r\n"
    ),
    "busy for a century": sending(b"HTTP/1.1 503 Busy\r\nRetry-After: 3155760000\r\nContent-Length: 0\r\n\r\n"),
    "busy until the year 9999": sending(b"HTTP/1.1 429 Busy\r\nRetry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\n\r\n"),
    "an internal error": sending(b"HTTP/1.1 500 Oops\r\n\r\n"),
    "an incomplete chunk": sending(HEAD, b"Transfer-Encoding: chunked\r\n\r\nffffffff\r\n", b"x" * 1_000),
    "unavailable for legal reasons": sending(b"HTTP/1.1 451 Canary\r\nContent-Length: 6\r\n\r\ncanary"),
    "an unknown kind of refusal": sending(b"HTTP/1.1 400 Canary\r\n\r\n", b'{"type": "urn:hushtally:canary"}'),
    "TLS": sending(b"\x15\x03\x03\x00\x02\x02\x28"),
}

ENDS: dict[str, tuple[Behaviour, dict[str, int]]] = {
    "a cookie": (
        json_response({"accepted": 1, "rejected": []}, b"Set-Cookie: id=1", b"Strict-Transport-Security: max-age=9"),
        {"delivered": 1},
    ),
    "a clock from another year": (
        json_response(
            {"accepted": 0, "rejected": [{"index": 0, "reason": "epoch_closed", "retryable": False}]},
            b"Date: Fri, 01 Jan 2077 00:00:00 GMT",
        ),
        {"rejected: epoch_closed": 1},
    ),
    "an unknown reason": (
        json_response(
            {"accepted": 0, "rejected": [{"index": 0, "reason": "canary", "retryable": False, "more": "canary"}]}
        ),
        {"rejected: other": 1},
    ),
    "a refusal": (
        sending(b"HTTP/1.1 400 Canary\r\n\r\n", b'{"type": "urn:hushtally:malformed", "title": "canary"}'),
        {"refused: malformed": 1},
    ),
}


@pytest.fixture
def _short_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "TRY_SECONDS", 0.3)


@pytest.fixture
def end_of_day(clock: ScriptedClock) -> ScriptedClock:
    """The last second of a day, in which answers are sent at once."""
    clock.now = datetime(2026, 11, 2, 23, 59, 59, tzinfo=UTC)
    return clock


def request_arrives(server: Any, client: Client) -> bool:
    """Whether the server receives a request. A machine that is too slow for one attempt gets more attempts."""
    until = time.monotonic() + MUST_END
    while not server.requests and time.monotonic() < until:
        client.flush(5.0)
    return bool(server.requests)


@pytest.mark.usefixtures("_short_timeout")
@pytest.mark.parametrize("behaviour", BEHAVIOURS.values(), ids=BEHAVIOURS)
def test_hostile_behaviour_costs_the_app_nothing(
    behaviour: Behaviour,
    serve: Any,
    make_client: Make,
    end_of_day: ScriptedClock,
    requests_end: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The batch waits unchanged and nothing is drawn again. The call returns in time, and its thread ends."""
    caplog.set_level(logging.DEBUG)
    server = serve(behaviour)
    faults: list[Fault] = []
    client = make_client(collector=server.url, transport=HttpTransport(), on_error=faults.append)
    client.record("purchase", amount=77.77, category="canary")
    began = time.monotonic()
    client.tick()
    assert not client.flush(0.5)
    assert time.monotonic() - began < 30
    assert request_arrives(server, client)
    status = client.status()
    assert faults == []
    assert status.waiting == 1
    assert status.counters == {}
    assert status.surveys[0].spent == 1.0
    assert len(server.requests) < 12
    assert len(set(server.requests)) == 1
    assert b"canary" not in server.requests[0]
    assert "canary" not in caplog.text
    assert "77.77" not in caplog.text
    assert requests_end()


@pytest.mark.parametrize(("behaviour", "counters"), ENDS.values(), ids=ENDS)
def test_a_batch_ends_once(
    behaviour: Behaviour,
    counters: dict[str, int],
    serve: Any,
    make_client: Make,
    end_of_day: ScriptedClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    server = serve(behaviour)
    client = make_client(collector=server.url, transport=HttpTransport())
    client.tick()
    assert client.flush(MUST_END)
    status = client.status()
    assert (status.waiting, status.counters, status.surveys[0].spent) == (0, counters, 1.0)
    assert len(server.requests) == 1
    assert "canary" not in caplog.text


@pytest.mark.usefixtures("_short_timeout")
def test_a_flood_is_not_stored(serve: Any, make_client: Make, end_of_day: ScriptedClock, requests_end: Any) -> None:
    """The server offers hundreds of megabytes. At any time, at most a few megabytes are in use."""
    floods = [name for name in BEHAVIOURS if name.startswith(("floods", "ten", "continues"))]
    for seed, name in enumerate(floods):
        server = serve(BEHAVIOURS[name])
        own = SeededRandomness(
            seed
        )  # otherwise two batches would share an id, and the second would wait for the backoff of the first
        client = make_client(collector=server.url, transport=HttpTransport(), device=name, randomness=own)
        tracemalloc.start()
        client.tick()
        assert request_arrives(server, client), name
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        server.close()
        # mostly the buffers of the server, and the import of http
        assert peak < 12_000_000, (name, peak)
    assert requests_end()


def test_a_survey_above_the_app_s_ceilings_is_refused(make_survey: Callable[..., Survey]) -> None:
    """This holds for a bundled survey, too: the ceilings are checked before any file is opened."""
    from hushtally import ClientError

    with pytest.raises(ClientError, match=r"with epsilon 2, .* max_epsilon = 1"):
        Client(make_survey(epsilon=2.0), collector="https://x.example", state=":memory:", max_epsilon=1.0)
    with pytest.raises(ClientError, match="has a lifetime epsilon of 28"):
        Client(make_survey(), collector="https://x.example", state=":memory:", max_lifetime_epsilon=27.0)


def test_flush_returns_in_time_although_the_state_file_is_locked(
    make_client: Make, end_of_day: ScriptedClock, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may lock the file for seconds. The work is done after it unlocks the file."""
    import sqlite3

    monkeypatch.setattr("hushtally.client_sdk.state.file.BUSY_SECONDS", 600.0)
    client = make_client()
    client.tick()
    with sqlite3.connect(tmp_path / "state.db", isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        for timeout in (0.0, 0.2, -3.0):
            began = time.monotonic()
            client.flush(timeout)
            assert time.monotonic() - began < 300  # the file is awaited for 600 seconds
        other.execute("ROLLBACK")
    other.close()


def test_flush_returns_in_time_while_another_thread_is_blocked(
    serve: Any, make_client: Make, end_of_day: ScriptedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tick in a background thread is blocked in a request and keeps the lock for sending."""
    monkeypatch.setattr(sender, "TRY_SECONDS", 600.0)
    server = serve(BEHAVIOURS["hangs before the head"])
    client = make_client(collector=server.url, transport=HttpTransport())
    ticking = threading.Thread(target=client.tick, args=(600.0,))
    ticking.start()
    while not server.requests:
        assert ticking.is_alive()
        time.sleep(0.01)
    for timeout in (0.0, 0.3):
        began = time.monotonic()
        assert not client.flush(timeout)
        assert time.monotonic() - began < 300  # the request takes 600 seconds
    assert ticking.is_alive()
    server.close()
    ticking.join(MUST_END)
    assert not ticking.is_alive()
    assert len(server.requests) == 1


def test_a_tick_keeps_its_time_limit_over_many_batches(
    make_client: Make, make_survey: Callable[..., Survey], end_of_day: ScriptedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a scripted clock, every response takes 8 seconds: within the limit of a request, but not of the tick."""
    now, allowed = [0.0], []
    monkeypatch.setattr(sender, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=time.sleep))

    class Slow(Recorder):
        def request(self, method: str, url: str, body: bytes | None, timeout: float, max_bytes: int = 0) -> Response:
            allowed.append(timeout)
            now[0] += 8
            return super().request(method, url, body, timeout)

    client = make_client([make_survey(f"s{number}") for number in range(30)], transport=Slow())
    client.tick(30.0)
    assert allowed == [10.0, 10.0, 10.0, 6.0]
    assert client.status().counters == {"delivered": 4}
    client.tick(8.0 * 26)
    assert client.status().counters == {"delivered": 30}
