"""A withdrawal of consent cancels current requests. Their bodies are not sent, and the collector is not blamed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from hushtally import Client
from hushtally.client_sdk.delivery.http import HttpTransport
from hushtally.client_sdk.delivery.http_attempt import Attempt
from hushtally.client_sdk.delivery.transport import RequestCancelled, Response
from hushtally.client_sdk.testing import ScriptedClock

Serve = Callable[..., Any]

MUST_END = 120.0  # seconds, even on a very slow machine


class SlowHandshake:
    """Blocks every request between its connection and its first byte."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached, self.over = threading.Event(), threading.Event()
        open_connection = Attempt._open

        def blocked(attempt: Attempt) -> Any:
            connection = open_connection(attempt)
            self.reached.set()
            assert self.over.wait(MUST_END)
            return connection

        monkeypatch.setattr(Attempt, "_open", blocked)


@pytest.fixture
def handshake(monkeypatch: pytest.MonkeyPatch) -> SlowHandshake:
    return SlowHandshake(monkeypatch)


class RequestInThread:
    """A request that runs in its own thread, and its outcome."""

    def __init__(self, transport: HttpTransport, url: str) -> None:
        self.outcome: Response | OSError | None = None
        self.thread = threading.Thread(target=self.send, args=(transport, url))
        self.thread.start()

    def send(self, transport: HttpTransport, url: str) -> None:
        try:
            self.outcome = transport.request("POST", url, b"{}", MUST_END)
        except OSError as error:
            self.outcome = error


@pytest.mark.parametrize("shut", [True, False], ids=["its socket is shut down", "its socket cannot be shut down yet"])
def test_the_body_of_a_cancelled_request_is_not_sent(
    shut: bool, serve: Serve, handshake: SlowHandshake, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(lambda *_: None)
    transport = HttpTransport()
    running = RequestInThread(transport, server.url)
    assert handshake.reached.wait(MUST_END)
    if not shut:
        monkeypatch.setattr(Attempt, "cancel", lambda attempt: setattr(attempt, "_cancelled", True))
    transport.cancel()
    handshake.over.set()
    running.thread.join(MUST_END)
    assert isinstance(running.outcome, RequestCancelled)
    assert str(running.outcome) == "the request was cancelled"
    assert server.requests == []


def test_a_connection_that_opens_after_the_cancellation_is_not_used(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(lambda *_: None)
    transport = HttpTransport()
    connect = Attempt._connect

    def late(attempt: Attempt, host: str, port: int) -> Any:
        transport.cancel()
        return connect(attempt, host, port)

    monkeypatch.setattr(Attempt, "_connect", late)
    with pytest.raises(RequestCancelled, match=r"^the request was cancelled$"):
        transport.request("POST", server.url, b"{}", MUST_END)
    assert server.requests == []


def test_no_request_begins_before_requests_resume(serve: Serve, answer_of: Any) -> None:
    server = serve(lambda connection, _: connection.sendall(answer_of(b"[]")))
    transport = HttpTransport()
    transport.cancel()
    with pytest.raises(RequestCancelled, match=r"^the request was cancelled before it began$"):
        transport.request("POST", server.url, b"{}", MUST_END)
    transport.resume()
    assert transport.request("POST", server.url, b"{}", MUST_END).status == 200
    assert len(server.requests) == 1


def test_a_forked_child_cancels_no_request_of_its_parent(serve: Serve, answer_of: Any) -> None:
    asked, forked = threading.Event(), threading.Event()

    def behave(connection: Any, _: bytes) -> None:
        asked.set()
        assert forked.wait(MUST_END)
        connection.sendall(answer_of(b"[]"))

    transport = HttpTransport()
    running = RequestInThread(transport, serve(behave).url)
    assert asked.wait(MUST_END)
    pid = os.fork()
    if pid == 0:
        transport.cancel()
        os._exit(0)
    os.waitpid(pid, 0)
    forked.set()
    running.thread.join(MUST_END)
    assert running.outcome == Response(200, b"[]")


def test_nothing_is_sent_after_a_withdrawal_during_a_handshake(
    make_client: Callable[..., Client], serve: Serve, counter: Any, clock: ScriptedClock, handshake: SlowHandshake
) -> None:
    """The collector does not count as failing: another device sends at once."""
    server = serve(counter)
    withdrawing, other = (
        make_client(device=name, collector=server.url, transport=HttpTransport()) for name in ("anna", "bert")
    )
    for client in (withdrawing, other):
        client.tick()
    clock.advance(seconds=53_999)  # the last moment of the day
    sending = threading.Thread(target=withdrawing.flush, args=(MUST_END,))
    sending.start()
    assert handshake.reached.wait(MUST_END)
    withdrawing.withdraw_consent()
    handshake.over.set()
    sending.join(MUST_END)
    assert not sending.is_alive()
    assert server.requests == []
    other.tick()
    assert len(counter.batches) == 1
    withdrawing.grant_consent()  # later answers are sent
    for _ in range(2):
        clock.advance(days=1)
        withdrawing.tick()
    assert len(counter.batches) >= 2
