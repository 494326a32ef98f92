"""Delivery: when a batch is sent, with which id, and what several clients of one device do."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hushtally import Client, Survey
from hushtally.client_sdk.delivery.transport import Response
from hushtally.client_sdk.protocol.report import Batch
from hushtally.client_sdk.randomness import SystemRandomness
from hushtally.client_sdk.state.outbox import moment
from hushtally.client_sdk.testing import Recorder, ScriptedClock, SeededRandomness

Make = Callable[..., Client]

MUST_END = 120.0  # seconds, even on a very slow machine


def to_the_end_of_the_day(clock: ScriptedClock) -> None:
    clock.now = clock.now.replace(hour=23, minute=59, second=59)


class TestSendingTime:
    def test_is_a_random_moment_of_the_epoch(self, survey: Survey) -> None:
        """Uniform from now to the end of the epoch: the mean of 20,000 draws and the number in every tenth agree."""
        now = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
        ends = datetime(2026, 11, 3, tzinfo=UTC)
        span = (ends - now).total_seconds()
        randomness = SeededRandomness(3)
        shares = [(moment(survey, now, randomness) - now.timestamp()) / span for _ in range(20_000)]
        assert min(shares) >= 0
        assert max(shares) < 1
        # with a random seed, it would fail by chance 1 in 10^4: 4 standard errors of the mean, 4.7 of a tenth
        assert abs(sum(shares) / 20_000 - 0.5) < 4 * (1 / 12 / 20_000) ** 0.5
        tenths = Counter(int(10 * share) for share in shares)
        assert all(abs(number - 2_000) < 4.7 * (20_000 * 0.09) ** 0.5 for number in tenths.values())

    def test_is_the_first_tick_after_the_drawn_moment(
        self, make_client: Make, recorder: Recorder, clock: ScriptedClock
    ) -> None:
        client = make_client()
        client.tick()
        assert recorder.requests == []
        assert client.status().waiting == 1
        to_the_end_of_the_day(clock)
        client.tick()
        assert len(recorder.requests) == 1
        assert client.status().waiting == 0
        assert client.status().counters == {"delivered": 1}

    def test_does_not_depend_on_recorded_events(self, make_client: Make, clock: ScriptedClock, tmp_path: Path) -> None:
        """A busy and an idle device with the same randomness tick every quarter of an hour for a week.

        Both send in the same ticks: the moment is drawn after the symbol, which takes the same words for any value.
        """
        moments = []
        for name, purchases in (("busy", 60), ("idle", 0)):
            recorder = Recorder()
            clock.now = datetime(2026, 11, 2, 9, tzinfo=UTC)
            client = make_client(state=tmp_path / name, transport=recorder, randomness=SeededRandomness(1))
            seen = []
            for _ in range(7 * 96):
                for _ in range(purchases and 2):
                    client.record("purchase", amount=12.5, category="music")
                client.tick()
                seen.append(len(recorder.requests))
                clock.advance(hours=0.25)
            moments.append(seen)
            assert seen[-1] >= 6
        assert moments[0] == moments[1]

    @pytest.mark.parametrize("timeout", [5.0, 1e300, float("inf")])
    def test_may_be_a_flush_with_an_infinite_timeout(
        self, timeout: float, make_client: Make, recorder: Recorder, clock: ScriptedClock
    ) -> None:
        faults: list[Any] = []
        client = make_client(on_error=faults.append)
        client.tick()
        to_the_end_of_the_day(clock)
        assert client.flush(timeout)
        assert (len(recorder.requests), faults) == (1, [])

    def test_a_flush_returns_whether_no_due_batch_is_left(self, make_client: Make, clock: ScriptedClock) -> None:
        """Before a batch is due, no request is made, so an unreachable collector does not matter."""
        dead = Recorder(ConnectionRefusedError())
        client = make_client(transport=dead)
        client.tick()
        assert client.flush(MUST_END) is True
        assert (client.status().waiting, dead.requests) == (1, [])
        to_the_end_of_the_day(clock)
        assert client.flush(0.1) is False
        assert client.status().waiting == 1

    def test_of_an_answer_in_the_last_second_is_at_once(
        self, make_client: Make, recorder: Recorder, clock: ScriptedClock
    ) -> None:
        to_the_end_of_the_day(clock)
        make_client().tick()
        assert len(recorder.requests) == 1

    def test_nothing_is_sent_before_consent_or_after_its_withdrawal(
        self, make_client: Make, recorder: Recorder, clock: ScriptedClock
    ) -> None:
        to_the_end_of_the_day(clock)
        client = make_client(agree=False)
        client.tick()
        assert client.flush(MUST_END)
        client.grant_consent()
        clock.now = datetime(2026, 11, 3, 1, tzinfo=UTC)
        client.tick()
        client.withdraw_consent()
        to_the_end_of_the_day(clock)
        client.tick()
        assert client.flush(MUST_END)
        assert recorder.requests == []

    @pytest.mark.parametrize("writable", [True, False])
    def test_a_withdrawal_stops_the_next_batches(
        self, writable: bool, make_client: Make, make_survey: Callable[..., Survey], clock: ScriptedClock
    ) -> None:
        """Three batches are due, and the customer withdraws while the first is sent.

        This also holds if the withdrawal cannot be written, and with a transport that cannot cancel requests.
        """
        client: Client

        def write(allowed: bool) -> None:
            assert client._device is not None
            with client._device._state.lock() as connection:
                connection.execute(f"PRAGMA query_only = {not allowed}")

        class Withdrawing(Recorder):
            def request(self, *args: Any, **kwargs: Any) -> Response:
                write(writable)
                client.withdraw_consent()
                return super().request(*args, **kwargs)

        recorder = Withdrawing(Response(404, b"<html>"))
        to_the_end_of_the_day(clock)
        client = make_client([make_survey(id) for id in ("a", "b", "c")], transport=recorder)
        client.tick()
        assert len(recorder.requests) == 1
        write(True)
        assert client.status().waiting == 0


TWO_REJECTED = Response(
    200,
    b'{"accepted": 1, "rejected": [{"index": 0, "reason": "epoch_not_open", "retryable": true},'
    b' {"index": 1, "reason": "epoch_closed", "retryable": false}]}',
)


class TestConcurrency:
    def test_several_clients_of_one_device_send_one_answer(
        self, make_client: Make, recorder: Recorder, clock: ScriptedClock, tmp_path: Path
    ) -> None:
        to_the_end_of_the_day(clock)
        for client in [make_client(), make_client(), make_client()]:
            client.tick()
        assert len(recorder.requests) == 1

    def test_two_clients_may_send_a_batch_but_one_settles_it(
        self, make_client: Make, make_survey: Callable[..., Survey], clock: ScriptedClock
    ) -> None:
        """The second client gets its response while the first waits for one.

        The outcome is counted once, and retryable reports are queued once. The collector knows the batch by its id.
        """
        other: Client
        recorder = Recorder(TWO_REJECTED)

        class Meanwhile(Recorder):
            def request(
                self, method: str, url: str, body: bytes | None, timeout: float, max_bytes: int = 0
            ) -> Response:
                elsewhere = threading.Thread(target=other.tick)
                elsewhere.start()
                elsewhere.join()
                return recorder.request(method, url, body, timeout)

        survey = make_survey(questions=3)
        to_the_end_of_the_day(clock)
        other = make_client(survey, transport=recorder)
        first = make_client(survey, transport=Meanwhile())
        first.tick()
        ids = [batch.id for batch in recorder.batches if len(batch.reports) == 3]
        assert len(ids) == 2
        assert len(set(ids)) == 1
        assert first.status().counters == {
            "delivered": 1,
            "postponed: not accepted yet": 1,
            "rejected: epoch_closed": 1,
        }
        assert first.status().waiting == 1

    def test_a_tick_does_not_wait_for_another_thread_that_is_sending(
        self, make_client: Make, clock: ScriptedClock
    ) -> None:
        client: Client

        class Nested(Recorder):
            def request(self, *args: Any, **kwargs: Any) -> Response:
                if not self.requests:
                    self.requests.append(("", "", None))
                    client._call("tick", lambda device: device.send(5.0), None)
                    self.requests.clear()
                return super().request(*args, **kwargs)

        recorder = Nested()
        to_the_end_of_the_day(clock)
        client = make_client(transport=recorder)
        client.tick()
        assert len(recorder.requests) == 1


def test_every_batch_has_a_new_random_id(make_client: Make, clock: ScriptedClock) -> None:
    recorder = Recorder()
    to_the_end_of_the_day(clock)
    client = make_client(transport=recorder, randomness=SystemRandomness())
    for _ in range(20):
        client.tick()
        clock.advance(days=1)
    assert len({batch.id for batch in recorder.batches}) == 20
    assert all(isinstance(batch, Batch) for batch in recorder.batches)
