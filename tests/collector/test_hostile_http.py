"""Whatever a sender writes, the collector answers with a problem document and neither stores nor logs it."""

from __future__ import annotations

import json
import random
import socket
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from hushtally.collector.connection import MAX_READ, MAX_UNFINISHED

Start = Callable[..., Any]
DEADLINE = 120.0  # seconds, for the slowest machine
CANARY = b"c4nary"
HOST = b"Host: x\r\n"
JSON = b"Content-Type: application/json\r\n"


def exchange(process: Any, sent: bytes) -> bytes:
    """Sends bytes, then the end of the stream; returns everything that the server sends until it disconnects."""
    with closing(socket.create_connection(("127.0.0.1", process.port), DEADLINE)) as connection:
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
        except OSError:  # the server has already refused and disconnected
            pass
        return b"".join(iter(lambda: _receive(connection), b""))


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65_536)
    except ConnectionResetError:
        return b""


def written(process: Any, folder: Path) -> tuple[bytes, str]:
    """Stops the collector; returns the bytes of its files, and its log."""
    files = b"".join(file.read_bytes() for file in folder.glob("counts.db*"))
    code, printed = process.stop()
    assert code == 0, printed
    return files + b"".join(file.read_bytes() for file in folder.glob("counts.db*")), printed


INVALID = {
    "brackets in a URI": b"GET http://[" + CANARY + b"]/v1/reports HTTP/1.1\r\n" + HOST,
    "half a bracket": b"GET http://[" + CANARY + b"/ HTTP/1.1\r\n" + HOST,
    "an endless Content-Length": b"POST /v1/reports HTTP/1.1\r\n" + HOST + b"Content-Length: " + b"9" * 4_301 + b"\r\n",
    "no request line": CANARY + b" " + CANARY + b" " + CANARY + b"\r\n" + HOST,
    "no Host": b"GET /" + CANARY + b" HTTP/1.1\r\n",
    "two Hosts": b"GET /" + CANARY + b" HTTP/1.1\r\nHost: a\r\nHost: " + CANARY + b"\r\n",
    "a field without a colon": b"GET / HTTP/1.1\r\n" + HOST + CANARY + b"\r\n",
    "a bare CR": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r" + CANARY + b"\r\n",
    "a first line that continues": b"GET / HTTP/1.1\r\n " + CANARY + b"\r\n" + HOST,
    "two Content-Lengths": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\n" * 2 + b"X: " + CANARY + b"\r\n",
    "an Expect and an invalid Content-Length": (
        b"POST /" + CANARY + b" HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: x\r\n"
    ),
    "two lengths of a body": (
        b"POST /" + CANARY + b" HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"
    ),
    "another transfer coding": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: " + CANARY + b"\r\n",
    "a head without end": b"GET /" + CANARY * 50_000 + b" HTTP/1.1\r\n" + HOST,
    "a bad chunk": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + CANARY + b"\r\n",
}


@pytest.mark.parametrize("head", INVALID.values(), ids=INVALID.keys())
def test_invalid_http_is_answered_counted_and_not_quoted(head: bytes, start: Start, tmp_path: Path) -> None:
    """The status is 4xx or 501. The log has one line a minute, with a count and without what the sender wrote."""
    process = start()
    for _ in range(3):
        answer = exchange(process, head + b"\r\n")
        assert answer.split(b" ")[1] in {b"400", b"431", b"501"}, answer
        assert b"application/problem+json" in answer
        assert CANARY not in answer
    assert process.metrics()["hushtally_requests_invalid_total"] == 3
    files, printed = written(process, tmp_path)
    assert CANARY not in files
    assert printed.splitlines()[0] == "refused 1 request: invalid HTTP"
    assert len(printed.splitlines()) == 2


def test_http_1_0_needs_no_host(start: Start) -> None:
    assert exchange(start(), b"GET /healthz HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 200")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /healthz HTTP/1.1\r\n", b"200"),
        (b"POST /v1/reports HTTP/1.1\r\n" + JSON + b"Content-Length: %d\r\n" % MAX_READ, b"413"),
    ],
)
def test_a_request_that_need_not_continue_is_answered_at_once(head: bytes, status: bytes, start: Start) -> None:
    """It has no body, or one that is refused: its sender waits for a response, not for permission to send the body."""
    with closing(socket.create_connection(("127.0.0.1", start().port), DEADLINE)) as connection:
        connection.sendall(head + HOST + b"Expect: 100-continue\r\n\r\n")
        assert connection.recv(65_536).split(b" ")[1] == status


PATHS = ["/v1//reports", "//evil.example/v1", "/v1/reports//", "/v1/surveys//", "/%2f%2fevil.example", "/v1/./reports"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_request_is_redirected(method: str, path: str, start: Start) -> None:
    """A redirect would lead to whatever host the sender names."""
    answer = exchange(start(), f"{method} {path} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n".encode())
    assert answer.split(b" ")[1][:1] == b"4"
    assert b"evil" not in answer


@pytest.mark.parametrize("size", [MAX_READ // 2 + 1, MAX_READ - 1, MAX_READ, MAX_READ + 1])
def test_a_chunked_body_above_the_limit_is_too_large_whatever_it_begins_with(
    size: int, start: Start, live: Any, tmp_path: Path
) -> None:
    """A body whose first bytes are a complete batch is not counted."""
    process = start()
    body = live.batch(live.report()).encode().ljust(size)
    head = b"POST /v1/reports HTTP/1.1\r\n" + HOST + JSON + b"Transfer-Encoding: chunked\r\n\r\n"
    answer = exchange(process, head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
    assert answer.startswith(b"HTTP/1.1 413 ")
    with closing(sqlite3.connect(tmp_path / "counts.db")) as connection:
        assert connection.execute("SELECT count(*) FROM counts").fetchone() == (0,)


@pytest.mark.slow
def test_health_and_metrics_answer_while_the_database_is_locked(start: Start, live: Any, tmp_path: Path) -> None:
    """They answer from memory, also while every thread of the server waits for the database."""
    process = start()
    with (
        closing(sqlite3.connect(tmp_path / "counts.db", isolation_level=None)) as other,
        ThreadPoolExecutor(40) as pool,
    ):
        other.execute("BEGIN IMMEDIATE")
        waiting = [
            pool.submit(process.request, "POST", "/v1/reports", live.batch(live.report()).encode()) for _ in range(40)
        ]
        while process.metrics()["hushtally_can_count"]:
            assert not all(one.done() for one in waiting)
        assert process.request("GET", "/healthz")[0] == 503
        other.execute("ROLLBACK")
        assert {one.result()[0] for one in waiting} <= {200, 503}
    while process.request("GET", "/healthz")[0] != 200:
        time.sleep(0.1)


def is_open(connection: socket.socket) -> bool:
    """Whether the server has not closed the connection."""
    connection.setblocking(False)
    try:
        return bool(connection.recv(1))
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False


def test_half_sent_requests_share_a_bounded_memory(start: Start, live: Any) -> None:
    """Those that began first are closed; an honest batch is counted all the time."""
    process = start()
    head = b"POST /v1/reports HTTP/1.1\r\n" + HOST + JSON + b"Content-Length: %d\r\n\r\n" % (MAX_READ - 1)
    part = head + b" " * (MAX_READ - 1_000)
    number = 2 * MAX_UNFINISHED // MAX_READ
    with ExitStack() as stack:
        held = []
        for _ in range(number):
            connection = stack.enter_context(closing(socket.create_connection(("127.0.0.1", process.port), DEADLINE)))
            connection.sendall(part)
            held.append(connection)
            assert process.request("POST", "/v1/reports", live.batch(live.report()).encode())[0] == 200
        most = MAX_UNFINISHED // MAX_READ + 1
        while len(alive := [connection for connection in held if is_open(connection)]) > most:
            time.sleep(0.05)
        assert alive
    _, printed = process.stop()
    assert "requests that did not arrive completely took too much memory" in printed


def test_a_request_that_arrived_before_the_signal_is_answered(start: Start, live: Any) -> None:
    """This includes connections that the server has not accepted yet, and connections whose request is on its way."""
    process = start()
    body = live.batch(live.report()).encode()
    request = b"POST /v1/reports HTTP/1.1\r\n" + HOST + JSON + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    process.popen.send_signal(19)  # SIGSTOP: everything below waits in the system's buffers
    with ExitStack() as stack:
        connections = [
            stack.enter_context(closing(socket.create_connection(("127.0.0.1", process.port), DEADLINE)))
            for _ in range(20)
        ]
        for connection in connections[:-1]:
            connection.sendall(request)
        process.popen.send_signal(15)
        process.popen.send_signal(18)
        connections[-1].sendall(request)
        answers = [connection.recv(65_536) for connection in connections]
    assert [answer.split(b" ")[1] for answer in answers] == [b"200"] * 20
    process.popen.communicate(timeout=DEADLINE)


def test_a_busy_connection_is_told_to_close_after_its_last_request(start: Start, live: Any) -> None:
    """Otherwise a proxy would send requests until the deadline, and the last ones would get no answer."""
    process = start()
    body = live.batch(live.report()).encode()
    request = b"POST /v1/reports HTTP/1.1\r\n" + HOST + JSON + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    with closing(socket.create_connection(("127.0.0.1", process.port), DEADLINE)) as connection:
        process.popen.send_signal(19)  # SIGSTOP
        connection.sendall(request * 40)  # more than the server reads at once
        process.popen.send_signal(15)
        process.popen.send_signal(18)
        answers = b"".join(iter(lambda: _receive(connection), b""))
    assert answers.count(b"HTTP/1.1 200 ") == 40
    assert answers.count(b"Connection: close") == 1
    assert process.popen.wait(DEADLINE) == 0


def mutated(source: random.Random, request: bytes) -> bytes:
    """The request with a few random changes, each with the canary in or near it."""
    changed = bytearray(request)
    for _ in range(source.randrange(1, 5)):
        at = source.randrange(len(changed) + 1)
        what = source.randrange(5)
        if what == 0:
            changed[at:at] = source.choice([CANARY, b"\r\n", b"\0", b"[", b"]", b"%", b"\xff", b":", b" ", b"{", b'"'])
        elif what == 1:
            del changed[at : at + source.randrange(1, 40)]
        elif what == 2 and at < len(changed):
            changed[at] = source.randrange(256)
        elif what == 3:
            end = at + source.randrange(1, 60)
            changed[at:at] = bytes(changed[at:end]) + CANARY
        else:
            changed[at:at] = CANARY * source.randrange(1, 200)
    return bytes(changed)


def fuzz(process: Any, live: Any, folder: Path, requests: int, seed: int) -> None:
    source = random.Random(seed)
    body = live.batch(live.report(), live.report("affinity", 5)).encode()
    fields = HOST + JSON + b"User-Agent: " + CANARY + b"\r\nCookie: " + CANARY + b"\r\n"
    whole = b"POST /v1/reports?device=" + CANARY + b" HTTP/1.1\r\n" + fields
    chunked = whole + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    whole += b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    absolute = b"GET http://x/v1/surveys/" + CANARY + b"/1 HTTP/1.1\r\n" + fields + b"\r\n"
    bodies = [mutated(source, source.choice([whole, chunked, absolute])) for _ in range(requests)]
    with ThreadPoolExecutor(8) as pool:
        for sent, answer in zip(bodies, pool.map(lambda sent: exchange(process, sent), bodies), strict=True):
            if answer:  # nothing if the request was not complete
                status = answer.split(b" ")[1]
                assert status[:1] in b"24" or status == b"501", (sent, answer)
    assert process.request("GET", "/healthz")[0] == 200
    assert process.request("POST", "/v1/reports", body)[0] == 200
    files, printed = written(process, folder)
    assert CANARY not in files
    assert CANARY.decode() not in printed
    assert "Traceback" not in printed
    assert "unexpected" not in printed
    assert len(printed.splitlines()) < 100


def test_random_requests_leave_no_trace(start: Start, live: Any, tmp_path: Path) -> None:
    """1,000 requests with random changes in the head and the body: no 5xx, no traceback, no canary in any file."""
    fuzz(start(), live, tmp_path, 1_000, 2026)


@pytest.mark.long
def test_100_000_random_requests_leave_no_trace(start: Start, live: Any, tmp_path: Path) -> None:
    fuzz(start(), live, tmp_path, 100_000, 7)


def test_a_problem_document_quotes_no_head(start: Start) -> None:
    """The reason is for people who read their client's log, and about the request as a whole."""
    answer = exchange(start(), b"GET http://[" + CANARY + b"]/ HTTP/1.1\r\nHost: x\r\n\r\n")
    problem = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert problem == {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": "the head of the request cannot be read",
    }
