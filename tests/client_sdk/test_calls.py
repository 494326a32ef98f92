"""Calls in the middle of a call: signal handlers, finalizers, log handlers and `on_error` call a client, too.

No such call waits, raises or breaks a transaction. An event is kept, or dropped and counted.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from numbers import Number
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from hushtally import AsyncClient, Client, ClientError, fetch_survey
from hushtally.client_sdk import calls
from hushtally.client_sdk.device.embedding import Fault
from hushtally.client_sdk.state import file as state_file
from hushtally.client_sdk.state.counters import Fate
from hushtally.client_sdk.state.silence import Silence
from hushtally.client_sdk.testing import Recorder, SeededRandomness

MUST_END = 300.0  # seconds, on a machine however slow
SDK = str(Path(state_file.__file__).parents[1])

METHODS: dict[str, Callable[[Client], object]] = {
    "record": lambda client: client.record("purchase", amount=1),
    "misspelt": lambda client: client.record("purchse"),
    "tick": lambda client: client.tick(),
    "flush": lambda client: client.flush(0.0),
    "status": lambda client: client.status(),
    "explain": lambda client: client.explain(),
    "receipts": lambda client: client.receipts(),
    "start": lambda client: client.start(),
    "grant": lambda client: client.grant_consent(),
    "withdraw": lambda client: client.withdraw_consent(),
    "close": lambda client: client.close(),
}
KEEPS_CONSENT = sorted(METHODS.keys() - {"withdraw", "close"})
DEFERS_LITTLE = {"record", "misspelt", "tick", "flush", "status", "explain", "receipts"}
CONSTRUCTOR = "constructor"


def in_time(action: Callable[[], object]) -> None:
    """Run an action on a thread of its own; fail if it waits forever or raises."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            action()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(MUST_END)
    assert not thread.is_alive(), "a call waits forever"
    if raised:
        raise raised[0]


class Interruption:
    """Runs something between two steps of the SDK on this thread, as a signal handler or a finalizer does.

    each: after how many steps. A step is a line, or with `opcodes` an instruction of the interpreter. most: how often.
    """

    def __init__(self, action: Callable[[], object], each: int, most: int, *, opcodes: bool = False) -> None:
        self._action = action
        self._each = each
        self._most = most
        self._opcodes = opcodes
        self.steps = 0
        self.times = 0

    def __enter__(self) -> Interruption:
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(SDK):
            return self._trace  # contextlib, for example, calls the SDK again
        frame.f_trace_opcodes = self._opcodes
        self.steps += 1
        if self.steps % self._each == 0 and self.times < self._most:
            self.times += 1
            self._action()  # Python does not trace what a trace function calls
        return self._trace


def recorded(path: Path) -> int:
    """How many events are in the file, or were counted as not written."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        (events,) = connection.execute("SELECT count(*) FROM events").fetchone()
        query = "SELECT coalesce(sum(count), 0) FROM counters WHERE name IN (?, ?)"
        (lost,) = connection.execute(query, (Fate.NOT_WRITTEN, Fate.TOO_MANY_EVENTS)).fetchone()
        return int(events) + int(lost)


def call_outer(lab: Any, outer: str, target: Client) -> None:
    if outer == CONSTRUCTOR:
        lab.client(agreed=False)
    else:
        METHODS[outer](target)


def interrupt(lab: Any, outer: str, inner: str, places: int, *, durable: bool = False, opcodes: bool = False) -> None:
    """Make one call of `outer`, with a call of `inner` at so many places of it, or at all if it has fewer."""
    target, another = lab.client(durable=durable), lab.client(device="another", durable=durable)
    another.record("purchase", amount=1)

    def run() -> None:
        with Interruption(lambda: None, 1, 0, opcodes=opcodes) as counted:
            call_outer(lab, outer, another)
        each = max(1, counted.steps // places)
        target.record("purchase", amount=1)
        target.record("purchase", amount=1)
        most = counted.steps // each  # not also in what the outer call does at its end for the inner calls
        with Interruption(lambda: METHODS[inner](target), each, most, opcodes=opcodes) as interruption:
            call_outer(lab, outer, target)
        assert interruption.times > 0
        target.record("purchase", amount=1)
        for one in lab.clients:
            one.status()
        if inner in KEEPS_CONSENT and outer in (*KEEPS_CONSENT, CONSTRUCTOR):
            expected = 4 + interruption.times * (inner == "record") + 2 * (outer == "record")
            assert recorded(lab.path) == expected
        states = {id(one._device._state): one._device._state for one in lab.clients if one._device}
        for state in states.values():
            assert state._use is None
            assert state._connection is None or not state._connection.in_transaction

    in_time(run)
    lab.close()
    fresh = lab.client()
    fresh.record("purchase", amount=1)
    assert fresh.status().silent is None
    assert [fault for fault in lab.faults if fault.why not in (Silence.REENTRANT, "the client was closed")] == []


@pytest.mark.parametrize("outer", [*METHODS, CONSTRUCTOR])
@pytest.mark.parametrize("inner", ["record", "status", "withdraw"])
def test_a_call_in_the_middle_of_any_other(lab: Any, outer: str, inner: str) -> None:
    """Between 20 lines. The larger version has every method, every instruction, and durable clients."""
    interrupt(lab, outer, inner, 20)


@pytest.mark.slow
@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("outer", [*METHODS, CONSTRUCTOR])
@pytest.mark.parametrize("inner", METHODS)
def test_a_call_at_every_instruction_of_any_other(lab: Any, outer: str, inner: str, durable: bool) -> None:
    interrupt(lab, outer, inner, 10**6 if inner in DEFERS_LITTLE else 100, durable=durable, opcodes=True)


class Interrupted(BaseException):
    """What the signal handler of a test raises, as that of Ctrl-C raises KeyboardInterrupt."""


class Raising:
    """Raises an exception where Python runs signal handlers: as a function begins, and after a call of C code.

    at: the number of the place. Code of the SDK and of `contextlib` has such places.
    """

    def __init__(self, at: int) -> None:
        self._left = at

    def __enter__(self) -> None:
        sys.setprofile(self._profile)

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _profile(self, frame: FrameType, event: str, _: Any) -> None:
        name = frame.f_code.co_filename
        if event in ("call", "c_return") and (name.startswith(SDK) or name.endswith("contextlib.py")):
            self._left -= 1
            if self._left == 0:
                sys.setprofile(None)
                raise Interrupted


def raise_at(lab: Any, outer: str, places: range, *, durable: bool) -> int:
    """Raise at one place after the other of a call, each time of a new call; return the number of places."""
    for place in places:
        client = lab.client(durable=durable)
        client.record("purchase", amount=1)
        client.record("purchase", amount=2)
        try:
            with Raising(place):
                METHODS[outer](client)
        except Interrupted:
            pass
        else:
            return place
        for thread in threading.enumerate():
            if thread.name == "hushtally-call":  # `flush` and `close` do not wait for it after the exception
                thread.join(MUST_END)
        state = client._device._state if client._device else None
        assert not calls.is_running()
        if state is not None:
            assert state._use is None
            assert state._connection is None or not state._connection.in_transaction
            in_time(state.close)  # another thread gets the lock
        client.record("purchase", amount=3)
        if outer not in ("withdraw", "close"):
            assert client.status().silent is None
            assert recorded(lab.path) >= 3, "an event that was recorded before or after was lost"
        lab.end()
        lab.path.unlink()
        lab.path.with_name(f"{lab.path.name}.mark").unlink()
    return places.stop


@pytest.mark.parametrize("outer", METHODS)
def test_an_exception_of_a_signal_handler_ends_the_call_in_order(lab: Any, outer: str) -> None:
    """The transaction is rolled back, locks are released, no event is lost. The larger version tries every place."""
    for first in range(1, 7):
        raise_at(lab, outer, range(first * first, 6_000, 211), durable=False)


@pytest.mark.slow
@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("outer", METHODS)
def test_an_exception_of_a_signal_handler_at_every_place(lab: Any, outer: str, durable: bool) -> None:
    assert raise_at(lab, outer, range(1, 10**6), durable=durable) < 10**6


@pytest.mark.parametrize("durable", [False, True])
def test_finalizers_that_record(lab: Any, durable: bool) -> None:
    """A cycle of objects is freed in the middle of anything, and its finalizer records. Every event is kept."""
    client = lab.client(durable=durable)
    ended = 0

    class Session:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            nonlocal ended
            ended += 1
            client.record("purchase", amount=1)

    def run() -> None:
        threshold = gc.get_threshold()
        gc.set_threshold(3)
        try:
            for _ in range(100):
                Session()
                client.record("purchase", amount=2)
            client.tick()
            client.status()
        finally:
            gc.set_threshold(*threshold)
        gc.collect()

    in_time(run)
    assert ended == 100
    client.status()
    assert recorded(lab.path) == 200


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers that send signals")
@pytest.mark.skipif(threading.current_thread() is not threading.main_thread(), reason="needs the main thread")
@pytest.mark.parametrize("inner", ["record", "status", "tick"])
def test_signal_handlers_that_call(lab: Any, inner: str) -> None:
    """A timer interrupts the main thread, which records, 150 times. Every event is kept."""
    client = lab.client()
    signals = own = 0

    def handler(*_: object) -> None:
        nonlocal signals
        signals += 1
        METHODS[inner](client)
        signal.setitimer(signal.ITIMER_REAL, 0.0003)

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0003)
        while signals < 150:
            client.record("purchase", amount=2)
            own += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    client.status()
    assert recorded(lab.path) == own + signals * (inner == "record")


class Amount(Number):
    """A number of the app. The SDK converts it in the middle of `record`, so what it does is done inside the call."""

    def __init__(self, action: Callable[[], object]) -> None:
        self._action = action
        self.result: object = None

    __hash__ = None  # type: ignore[assignment]

    def __float__(self) -> float:
        self.result = self._action()
        return 1.0


def inside(client: Client, action: Callable[[], object]) -> Any:
    """Return what an action returns in the middle of a call."""
    amount = Amount(action)
    in_time(lambda: client.record("purchase", amount=amount))
    return amount.result


class TestWhatAReentrantCallReturns:
    """Documented in the reference of the client."""

    def test_what_needs_the_file_returns_without_it(self, lab: Any) -> None:
        client = lab.client()
        assert inside(client, client.receipts) == ()
        assert inside(client, lambda: client.flush(1.0)) is False
        assert inside(client, client.tick) is None
        status = inside(client, client.status)
        assert (status.silent, status.surveys[0].silent) == (Silence.REENTRANT, Silence.REENTRANT)
        assert "another call of a client is running on this thread" in str(inside(client, client.explain))
        assert client.status().silent is None
        assert lab.faults == []

    def test_grant_is_refused_and_reported(self, lab: Any) -> None:
        """Nothing is stored later, because False means that the customer must be asked again."""
        client = lab.client(agreed=False)
        other = lab.client(device="other")
        assert inside(other, client.grant_consent) is False
        assert not client.status().surveys[0].consent
        assert lab.faults == [Fault("grant_consent", "StateError", Silence.REENTRANT)]

    def test_withdrawal_stops_at_once_and_is_written_after_the_outer_call(self, lab: Any) -> None:
        client = lab.client()
        client.record("purchase", amount=1)

        def withdraw() -> tuple[bool, bool]:
            return client.withdraw_consent(), bool(client._device._permission.withdrawing)  # type: ignore[union-attr]

        assert inside(client, withdraw) == (False, True)
        assert lab.rows("SELECT granted FROM consents") == [(0,)]
        assert lab.rows("SELECT count(*) FROM events") == [(0,)]
        assert client.status().surveys[0].withdrew
        assert lab.faults == []

    def test_close_happens_after_the_outer_call(self, lab: Any) -> None:
        """The event of the outer call and that of another re-entrant call are written."""
        client = lab.client()
        inside(client, lambda: (client.close(), client.record("purchase", amount=1)))
        assert client.status().silent == Silence.CLOSED
        assert recorded(lab.path) == 2

    def test_an_event_recorded_during_close_is_kept(self, lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        client = lab.client()
        client.record("purchase", amount=1)
        state = client._device._state
        remove = state.remove_user

        def record(user: object) -> None:
            monkeypatch.undo()
            client.record("purchase", amount=1)
            remove(user)

        monkeypatch.setattr(state, "remove_user", record)
        in_time(client.close)
        assert recorded(lab.path) == 2

    def test_a_client_that_is_constructed_opens_after_the_outer_call(self, lab: Any) -> None:
        """Its event is kept."""
        client = lab.client()

        def construct() -> None:
            with lab.client(agreed=False) as made:
                assert made.status().silent == Silence.REENTRANT
                made.record("purchase", amount=1)

        inside(client, construct)
        client.status()
        assert recorded(lab.path) == 2
        assert lab.faults == []

    def test_start_takes_effect_with_the_next_call(self, lab: Any) -> None:
        client = lab.client()
        inside(client, client.start)
        client.status()
        assert client._ticker._thread is not None

    def test_fetching_a_survey_raises(self, lab: Any) -> None:
        def fetch() -> None:
            with pytest.raises(ClientError, match=r"another call of a client is running on this thread$"):
                fetch_survey("https://tally.example", "habits", 1, digest="0", transport=Recorder())

        inside(lab.client(), fetch)
        assert lab.faults == []

    def test_consent_is_that_of_the_moment(self, lab: Any) -> None:
        """Recorded inside a call; before the call ends, another thread withdraws and agrees again. Nothing is kept."""
        client, other = lab.client(), lab.client()

        def record() -> None:
            client.record("purchase", amount=1)
            in_time(lambda: (other.withdraw_consent(), other.grant_consent()))

        inside(client, record)
        client.status()
        assert lab.rows("SELECT count(*) FROM events") == [(0,)]

    def test_more_events_than_memory_allows_are_counted(self, lab: Any) -> None:
        client = lab.client()
        extra = 7

        def record() -> None:
            for _ in range(calls.MAX_DEFERRED + extra):
                client.record("purchase", amount=1)

        inside(client, record)
        assert client.status().counters == {Fate.NOT_WRITTEN: extra}
        assert recorded(lab.path) == calls.MAX_DEFERRED + extra + 1

    def test_a_mistake_is_counted_and_logged_after_the_outer_call(
        self, lab: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        client = lab.client()
        inside(client, lambda: client.record("purchse"))
        assert client.status().counters == {Fate.NOT_IN_SURVEY: 1}
        assert "did you mean 'purchase'?" in caplog.text

    def test_a_clock_that_fails_is_reported(self, lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        client = lab.client()

        def record() -> None:
            with monkeypatch.context() as patch:
                patch.setattr(client._device._permission, "_clock", lambda: 1 / 0)  # type: ignore[union-attr]
                client.record("purchase", amount=1)

        inside(client, record)
        assert lab.faults == [Fault("record", "ZeroDivisionError", "ZeroDivisionError")]


def test_a_withdrawal_during_delivery_stops_the_next_batches(lab: Any) -> None:
    """A transport, too, runs in the middle of a call."""

    class Withdrawing(Recorder):
        def request(self, *arguments: Any) -> Any:
            client.withdraw_consent()
            return super().request(*arguments)

    transport = Withdrawing()
    client = lab.client(lab.survey(questions=2, each=1), transport=transport)
    lab.live(client, 2)
    assert len(transport.requests) == 1
    assert lab.rows("SELECT granted FROM consents") == [(0,)]


@contextmanager
def handler_of(logger: str, emit: Callable[[], object]) -> Iterator[None]:
    """Run something with each record of a logger."""
    handler = logging.Handler()
    handler.emit = lambda record: emit()  # type: ignore[assignment,method-assign]
    logging.getLogger(logger).addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger(logger).removeHandler(handler)


class TestReports:
    """An app may count its errors with the client, through its log or through `on_error`."""

    @pytest.fixture(autouse=True)
    def _briefly(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(state_file, "BRIEF_SECONDS", 0.01)
        monkeypatch.setattr(state_file, "PAUSE_SECONDS", 0.0)

    @pytest.fixture
    def blocker(self, lab: Any) -> Iterator[sqlite3.Connection]:
        lab.client().close()
        with closing(sqlite3.connect(lab.path, isolation_level=None)) as connection:
            yield connection

    @pytest.mark.parametrize("through", ["on_error", "log"])
    def test_a_report_is_not_made_from_within_a_report(self, lab: Any, blocker: Any, through: str) -> None:
        """Another program holds the file. One failure becomes one report, and the app records one event for it."""
        reports = 0

        def count(*_: object) -> None:
            nonlocal reports
            reports += 1
            client.record("purchase", amount=1)

        client = lab.client(durable=True, on_error=count if through == "on_error" else None)
        blocker.execute("BEGIN IMMEDIATE")
        with handler_of("hushtally", count if through == "log" else lambda: None):
            in_time(lambda: client.record("purchase", amount=1))
        assert reports == 1
        blocker.execute("ROLLBACK")
        assert client.status().counters == {}
        assert recorded(lab.path) == 2

    def test_the_log_of_the_app_and_that_of_the_sdk_have_one_handler(self, lab: Any, blocker: Any) -> None:
        """The error of the app and the failure to record it are two log records, so they are two events."""
        client = lab.client(durable=True, on_error=None)
        blocker.execute("BEGIN IMMEDIATE")

        def record() -> None:
            client.record("purchase", amount=1)

        with handler_of("hushtally", record), handler_of("app", record):
            in_time(lambda: logging.getLogger("app").error("payment failed"))
        blocker.execute("ROLLBACK")
        client.status()
        assert recorded(lab.path) == 2

    def test_also_not_through_the_thread_of_flush(self, lab: Any) -> None:
        """`flush` runs on another thread for the call; its failure inside a report is not reported either."""
        faults: list[Fault] = []

        def on_error(fault: Fault) -> None:
            faults.append(fault)
            client.flush(600.0)

        client = lab.client(on_error=on_error)
        client._device.delivery = None
        in_time(lambda: client.flush(600.0))
        assert [fault.during for fault in faults] == ["flush"]

    def test_on_error_may_make_any_call(self, lab: Any, blocker: Any) -> None:
        """It is called when the call has ended, so its calls do their whole work."""
        granted: list[object] = []
        client = lab.client(durable=True, on_error=lambda _: granted.append(client.grant_consent()))
        blocker.execute("BEGIN IMMEDIATE")
        state = client._device._state
        with state.lock() as connection:
            connection.execute("PRAGMA busy_timeout = 1")
        client._on_error = lambda _: (blocker.execute("ROLLBACK"), granted.append(client.grant_consent()))
        client.record("purchase", amount=1)
        assert granted == [True]

    def test_a_log_handler_that_fails_does_not_raise_into_the_app(self, lab: Any) -> None:
        def fail() -> None:
            raise RecursionError

        client = lab.client()
        with handler_of("hushtally", fail):
            client.record("purchse")
        assert client.status().counters == {Fate.NOT_IN_SURVEY: 1}

    def test_a_log_handler_may_wait_for_a_thread_that_waits_for_the_client(self, lab: Any, blocker: Any) -> None:
        """The client logs when its locks are free, so the other thread gets them."""
        client, logging_now, done = lab.client(durable=True), threading.Event(), threading.Event()
        blocker.execute("BEGIN IMMEDIATE")

        def emit() -> None:
            logging_now.set()
            assert done.wait(MUST_END)

        def use() -> None:
            assert logging_now.wait(MUST_END)
            blocker.execute("ROLLBACK")
            client.status()
            done.set()

        with handler_of("hushtally", emit):
            thread = threading.Thread(target=lambda: client.record("purchase", amount=1), daemon=True)
            thread.start()
            use()
            thread.join(MUST_END)
        assert not thread.is_alive()


def test_no_call_waits_forever_for_a_thread(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads may wait for each other by the app's own locks. After a while, the call fails instead."""
    monkeypatch.setattr(state_file, "LOCK_SECONDS", 0.01)
    client = lab.client()
    with client._device._state.lock():
        in_time(client.status)
        in_time(client.tick)
    assert {fault.why for fault in lab.faults} == {"another thread of the app is using the state file"}
    client.tick()
    assert client.status().silent is None


def test_two_threads_interrupt_each_other(lab: Any) -> None:
    """Each thread records, ticks and reads the status in the middle of its own calls. All events are kept."""
    clients = [lab.client(durable=True), lab.client()]
    times: list[int] = []

    def run(client: Client) -> None:
        inner = [METHODS["record"], METHODS["tick"], METHODS["status"]]

        def call() -> None:
            for one in inner:
                one(client)

        with Interruption(call, 37, 100) as interruption:
            for outer in ("record", "tick", "status", "explain", "receipts"):
                METHODS[outer](client)
        times.append(interruption.times)

    threads = [threading.Thread(target=run, args=(client,), daemon=True) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(MUST_END)
    assert len(times) == 2
    for client in clients:
        client.status()
    assert recorded(lab.path) == sum(times) + 2
    assert lab.faults == []


@pytest.mark.parametrize("method", ["record", "tick", "flush", "status", "close"])
def test_an_async_client_does_not_wait_for_its_own_thread(lab: Any, method: str) -> None:
    """A finalizer on the client's worker thread runs a loop of its own and awaits the client."""

    async def run() -> None:
        client = await AsyncClient.open(
            lab.survey(),
            collector="https://tally.example",
            state=lab.path,
            cohort={"platform": "web"},
            clock=lab.clock,
            randomness=SeededRandomness(1),
            transport=lab.recorder,
        )
        await client.grant_consent()

        async def call() -> None:
            await (client.record("purchase", amount=1) if method == "record" else getattr(client, method)())

        await client.record("purchase", amount=Amount(lambda: asyncio.run(call())))
        await client.status()
        await client.close()

    in_time(lambda: asyncio.run(run()))
    assert recorded(lab.path) == 1 + (method == "record")
