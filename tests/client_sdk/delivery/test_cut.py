"""A withdrawal of consent cuts the requests under way: their bodies do not leave, and nobody is blamed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from hushtally import Client
from hushtally.client_sdk.delivery.http import HttpTransport
from hushtally.client_sdk.delivery.http_attempt import Attempt
from hushtally.client_sdk.delivery.transport import Answer, CutOff
from hushtally.client_sdk.testing import ScriptedClock

Serve = Callable[..., Any]

MUST_END = 120.0  # seconds, on a machine however slow


class SlowHandshake:
    """Holds up every request between its connection and its first byte."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached, self.over = threading.Event(), threading.Event()
        connected = Attempt._connected

        def held(attempt: Attempt) -> Any:
            made = connected(attempt)
            self.reached.set()
            assert self.over.wait(MUST_END)
            return made

        monkeypatch.setattr(Attempt, "_connected", held)


@pytest.fixture
def handshake(monkeypatch: pytest.MonkeyPatch) -> SlowHandshake:
    return SlowHandshake(monkeypatch)


class Asking:
    """A request in a thread of its own, and what came of it."""

    def __init__(self, transport: HttpTransport, url: str) -> None:
        self.outcome: Answer | OSError | None = None
        self.thread = threading.Thread(target=self.ask, args=(transport, url))
        self.thread.start()

    def ask(self, transport: HttpTransport, url: str) -> None:
        try:
            self.outcome = transport.request("POST", url, b"{}", MUST_END)
        except OSError as error:
            self.outcome = error


@pytest.mark.parametrize("shut", [True, False], ids=["its socket is shut", "its socket cannot be shut yet"])
def test_the_body_of_a_request_that_was_cut_is_not_written(
    shut: bool, serve: Serve, handshake: SlowHandshake, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(lambda *_: None)
    transport = HttpTransport()
    asking = Asking(transport, server.url)
    assert handshake.reached.wait(MUST_END)
    if not shut:
        monkeypatch.setattr(Attempt, "cut", lambda attempt: setattr(attempt, "_cut", True))
    transport.cut()
    handshake.over.set()
    asking.thread.join(MUST_END)
    assert isinstance(asking.outcome, CutOff)
    assert str(asking.outcome) == "cut off"
    assert server.requests == []


def test_a_connection_that_is_made_after_the_cut_is_not_used(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(lambda *_: None)
    transport = HttpTransport()
    reach = Attempt._reach

    def late(attempt: Attempt, host: str, port: int) -> Any:
        transport.cut()
        return reach(attempt, host, port)

    monkeypatch.setattr(Attempt, "_reach", late)
    with pytest.raises(CutOff, match=r"^cut off$"):
        transport.request("POST", server.url, b"{}", MUST_END)
    assert server.requests == []


def test_no_request_begins_until_they_may_again(serve: Serve, answer_of: Any) -> None:
    server = serve(lambda connection, _: connection.sendall(answer_of(b"[]")))
    transport = HttpTransport()
    transport.cut()
    with pytest.raises(CutOff, match=r"^cut off before it began$"):
        transport.request("POST", server.url, b"{}", MUST_END)
    transport.resume()
    assert transport.request("POST", server.url, b"{}", MUST_END).status == 200
    assert len(server.requests) == 1


def test_a_forked_child_cuts_no_request_of_its_parent(serve: Serve, answer_of: Any) -> None:
    asked, forked = threading.Event(), threading.Event()

    def behave(connection: Any, _: bytes) -> None:
        asked.set()
        assert forked.wait(MUST_END)
        connection.sendall(answer_of(b"[]"))

    transport = HttpTransport()
    asking = Asking(transport, serve(behave).url)
    assert asked.wait(MUST_END)
    pid = os.fork()
    if pid == 0:
        transport.cut()
        os._exit(0)
    os.waitpid(pid, 0)
    forked.set()
    asking.thread.join(MUST_END)
    assert asking.outcome == Answer(200, b"[]")


def test_nothing_leaves_after_a_withdrawal_that_came_amid_a_handshake(
    make_client: Callable[..., Client], serve: Serve, counter: Any, clock: ScriptedClock, handshake: SlowHandshake
) -> None:
    """And the collector is not taken for one that failed: another device is served at once."""
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
    withdrawing.grant_consent()  # what it answers from now on is sent
    for _ in range(2):
        clock.advance(days=1)
        withdrawing.tick()
    assert len(counter.batches) >= 2
