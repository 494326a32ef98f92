"""Delivery: which batches are sent again, and when."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask

from hushtally import Client, Survey
from hushtally.client_sdk.delivery import sender
from hushtally.client_sdk.delivery.http import HttpTransport
from hushtally.client_sdk.delivery.transport import Response
from hushtally.client_sdk.testing import Recorder, ScriptedClock, SeededRandomness
from hushtally.collector.app import create_app

Make = Callable[..., Client]
ACCEPTED = Response(200, b'{"accepted": 1, "rejected": []}')


FAILURES: dict[str, Any] = {
    "reset": ConnectionResetError(),
    "timeout": TimeoutError(),
    "500": Response(500, b""),
    "503": Response(503, b""),
    "429": Response(429, b"", retry_after=5.0),
    "408": Response(408, b""),
    "redirect": Response(302, b""),
    "an unknown survey": Response(422, b'{"type": "urn:hushtally:unknown_survey", "status": 422}'),
    **{
        f"a proxy's {status}": Response(status, b"<html>\r\n<center>nginx</center>")
        for status in (400, 401, 403, 404, 405, 407, 410, 413, 451)
    },
    "a framework's 404": Response(404, b'{"type": "about:blank", "title": "Not Found", "status": 404}'),
    "a 404 with deep nesting": Response(404, b"[" * 50_000),
    "a 401 that is not UTF-8": Response(401, b"\xff\xfe"),
    "no content": Response(204, b""),
    "a captive portal": Response(200, b"<html>please log in</html>"),
    "incomplete": Response(200, b'{"accepted": 1, "reje'),
    "more accepted than sent": Response(200, b'{"accepted": 5, "rejected": []}'),
    "a missing field": Response(200, b'{"accepted": 1}'),
    "deep nesting": Response(200, b"[" * 60_000),
    "numbers": Response(200, b'{"accepted": 1e999, "rejected": 7}'),
    "a long number": Response(200, b'{"accepted": ' + b"9" * 60_000 + b', "rejected": []}'),
    "an index that is too large": Response(
        200, b'{"accepted": 0, "rejected": [{"index": 7, "reason": "epoch_closed", "retryable": false}]}'
    ),
    "a negative index": Response(
        200, b'{"accepted": 0, "rejected": [{"index": -1, "reason": "epoch_closed", "retryable": false}]}'
    ),
    "wrong types": Response(200, b'{"accepted": true, "rejected": [{"index": [], "reason": {}, "retryable": 3}]}'),
    "not UTF-8": Response(200, b"\xff\xfe\x00"),
}


def to_the_end_of_the_day(clock: ScriptedClock) -> None:
    clock.now = clock.now.replace(hour=23, minute=59, second=59)


class TestRetries:
    @pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
    def test_send_the_same_bytes_until_they_are_accepted(
        self, failure: Any, make_client: Make, clock: ScriptedClock
    ) -> None:
        """A response that is not from a collector leaves the batch unchanged, and nothing is drawn again."""
        recorder = Recorder(*[failure] * 4, ACCEPTED)
        to_the_end_of_the_day(clock)
        client = make_client(transport=recorder)
        for _ in range(10):
            client.tick()
            clock.advance(seconds=60)
        assert len(recorder.requests) == 5
        assert len(set(recorder.bodies)) == 1
        assert {url for _, url, _ in recorder.requests} == {"https://tally.example/v1/reports"}
        assert client.status().counters == {"delivered": 1}

    def test_wait_for_the_backoff_to_end(self, make_client: Make, clock: ScriptedClock) -> None:
        """Ticks soon after a failure send nothing. The wait also ends if the clock jumps, for example after sleep."""
        recorder = Recorder(Response(503, b"", retry_after=600.0))
        to_the_end_of_the_day(clock)
        client = make_client(transport=recorder)
        for _ in range(20):
            client.tick()
        assert len(recorder.requests) == 1
        clock.advance(seconds=599)
        client.tick()
        assert len(recorder.requests) == 1
        clock.advance(seconds=4)
        client.tick()
        assert len(recorder.requests) == 2

    def test_obey_at_most_a_day_of_retry_after(
        self, make_client: Make, make_survey: Callable[..., Survey], clock: ScriptedClock
    ) -> None:
        recorder = Recorder(Response(503, b"", retry_after=3e9), ACCEPTED)
        clock.now = datetime(2026, 11, 8, 23, 59, 59, tzinfo=UTC)
        client = make_client(make_survey(epoch="week"), transport=recorder)
        client.tick()
        clock.advance(hours=23.9)
        client.tick()
        assert len(recorder.requests) == 1
        clock.advance(hours=0.1)
        clock.advance(seconds=30)  # plus the jitter
        client.tick()
        assert len(recorder.requests) == 2

    def test_share_the_backoff_of_a_collector_among_devices(
        self, make_client: Make, clock: ScriptedClock, serve: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A gateway opens one device after the other. A blocked collector costs it one attempt, not one per device."""
        monkeypatch.setattr(sender, "TRY_SECONDS", 0.2)
        server = serve(lambda connection, _: connection.recv(1))
        to_the_end_of_the_day(clock)
        for customer in range(20):
            client = make_client(device=f"customer {customer}", collector=server.url, transport=HttpTransport())
            client.tick()
            client.close()
        assert 1 <= len(server.requests) <= 4  # the first waits are below 2, 4 and 8 seconds

    def test_a_batch_that_the_collector_fails_on_does_not_delay_others(
        self, make_client: Make, make_survey: Callable[..., Survey], clock: ScriptedClock
    ) -> None:
        class Poisoned(Recorder):
            def request(
                self, method: str, url: str, body: bytes | None, timeout: float, max_bytes: int = 0
            ) -> Response:
                answer = super().request(method, url, body, timeout)
                return Response(500, b"") if b'"survey":"b"' in (body or b"") else answer

        recorder = Poisoned()
        to_the_end_of_the_day(clock)
        client = make_client([make_survey(id) for id in ("a", "b", "c")], transport=recorder)
        client.tick()
        assert {batch.survey for batch in recorder.batches} == {"a", "b", "c"}
        assert client.status().counters == {"delivered": 2}
        assert not client.flush(0.2)
        assert len(recorder.requests) < 10

    @pytest.mark.parametrize("failure", [ConnectionResetError(), TimeoutError(), Response(503, b"")])
    def test_a_batch_that_breaks_the_connection_delays_others_by_minutes_only(
        self, failure: Any, make_client: Make, make_survey: Callable[..., Survey], clock: ScriptedClock
    ) -> None:
        """The collector appears unreachable, for example if a firewall takes this batch for an attack."""

        class Firewall(Recorder):
            def request(
                self, method: str, url: str, body: bytes | None, timeout: float, max_bytes: int = 0
            ) -> Response:
                answer = super().request(method, url, body, timeout)
                if self.batches[-1].id > lowest:
                    return answer
                if isinstance(failure, OSError):
                    raise failure
                return failure

        recorder = Firewall()
        clock.now = datetime(2026, 11, 8, 23, 59, 59, tzinfo=UTC)
        client = make_client([make_survey(id, epoch="week", days=7) for id in "abcd"], transport=recorder)
        device = client._device
        assert device is not None
        device.answer()
        with device._state.lock() as connection:
            (lowest,) = connection.execute("SELECT min(batch) FROM outbox").fetchone()
        for _ in range(30):
            client.tick()
            clock.advance(seconds=60)
        assert client.status().counters == {"delivered": 3}

    def test_every_batch_has_its_own_backoff(
        self, make_client: Make, make_survey: Callable[..., Survey], clock: ScriptedClock
    ) -> None:
        """A batch that is never accepted waits up to an hour. Batches of later days are sent with the first tick."""

        class Unknown(Recorder):
            def request(
                self, method: str, url: str, body: bytes | None, timeout: float, max_bytes: int = 0
            ) -> Response:
                answer = super().request(method, url, body, timeout)
                return (
                    Response(422, b'{"type": "urn:hushtally:unknown_survey"}') if b'"new"' in (body or b"") else answer
                )

        recorder = Unknown()
        clock.now = datetime(2026, 11, 8, 23, 59, 59, tzinfo=UTC)  # the end of a week
        client = make_client([make_survey("new", epoch="week", days=7), make_survey("old")], transport=recorder)
        delivered = 0
        for _ in range(7 * 24 * 60):
            client.tick()
            if clock.now.hour == 23 and clock.now.minute == 59:
                delivered += 1
                assert client.status().counters == {"delivered": delivered}
            clock.advance(seconds=60)
        tries = [batch.id for batch in recorder.batches if batch.survey == "new"]
        assert len(set(tries)) == 1
        assert delivered == 7
        # fails by chance 1 in 10^8: the waits are 30 minutes on average, with a standard deviation of 17, over 7 days
        assert 250 < len(tries) < 440
        clock.advance(days=1)
        client.tick()
        assert client.status().counters["expired"] == 1

    def test_an_app_may_ship_before_the_collector_has_its_survey(
        self, make_client: Make, make_survey: Callable[..., Survey], clock: ScriptedClock, tmp_path: Path
    ) -> None:
        """A real collector is restarted with the new survey a day later. Reports that it refused before then count."""

        class Direct:
            app: Flask

            def request(
                self, method: str, url: str, body: bytes | None, timeout: float, max_bytes: int = 0
            ) -> Response:
                answer = self.app.test_client().open(
                    urlsplit(url).path, method=method, data=body, content_type="application/json"
                )
                return Response(answer.status_code, answer.data)

        old, new = make_survey("old"), make_survey("new")
        direct = Direct()
        to_the_end_of_the_day(clock)
        client = make_client([old, new], transport=direct)
        seen = []
        for surveys in ([old], [old, new]):
            direct.app = create_app(surveys, tmp_path / "counts.db", clock=lambda: clock.now.date())
            client.tick()
            seen.append((client.status().counters, client.status().waiting))
            direct.app.extensions["hushtally"].close()
            clock.advance(hours=20)
        assert seen == [({"delivered": 1}, 1), ({"delivered": 2}, 2)]  # the answers of the next day are not due yet

    def test_the_backoff_of_a_batch_survives_a_new_client(
        self, make_client: Make, clock: ScriptedClock, serve: Any, answer_of: Any
    ) -> None:
        """An app may open a client for every visit."""
        server = serve(lambda connection, _: connection.sendall(answer_of(b"<html>nginx", "404 Not Found")))
        to_the_end_of_the_day(clock)
        for _ in range(50):
            client = make_client(collector=server.url, transport=HttpTransport())
            client.tick()
            client.close()
        assert 1 <= len(server.requests) <= 4  # the first waits are below 2, 4 and 8 seconds

    def test_the_number_of_remembered_failures_is_bounded(self) -> None:
        """Beyond the limit, only the collector's own failure is remembered, until the waits of others end."""
        from hushtally.client_sdk.delivery.backoff import MAX_FAILING, Backoffs

        now, randomness, backoffs = datetime(2026, 11, 2, tzinfo=UTC), SeededRandomness(5), Backoffs()
        for number in range(MAX_FAILING):
            assert backoffs.failed(str(number), now, randomness, "503", 600.0)
        assert not backoffs.failed("another", now, randomness, "503")
        assert backoffs.failed("https://tally.example", now, randomness, "503", 600.0, always=True)
        assert backoffs.remaining("https://tally.example", now) > 300
        assert backoffs.remaining("0", now) > 300
        backoffs.succeeded("0")
        assert backoffs.remaining("0", now) == 0
        assert backoffs.failed("another", now + timedelta(hours=3), randomness, "503")
        assert len(backoffs._failing) == 1

    def test_another_thread_may_succeed_while_ended_waits_are_removed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """All devices of a process share the backoffs, each in its own thread."""
        from hushtally.client_sdk.delivery.backoff import Backoffs

        class Meanwhile(datetime):
            def timestamp(self) -> float:
                backoffs.succeeded(b"1")
                return super().timestamp()

        monkeypatch.setattr("hushtally.client_sdk.delivery.backoff.MAX_FAILING", 3)
        backoffs, randomness = Backoffs(), SeededRandomness(6)
        for name in (b"0", b"1", b"2"):
            backoffs.failed(name, datetime(2026, 11, 2, tzinfo=UTC), randomness, "refused")
        assert backoffs.failed(b"3", Meanwhile(2026, 11, 3, tzinfo=UTC), randomness, "refused")

    def test_too_many_failing_batches_delay_the_whole_collector(
        self, make_client: Make, recorder: Recorder, clock: ScriptedClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("hushtally.client_sdk.delivery.backoff.MAX_FAILING", 0)
        recorder._answers = [Response(404, b"<html>")]
        to_the_end_of_the_day(clock)
        client = make_client()
        for _ in range(5):
            client.tick()
        assert len(recorder.requests) == 1

    def test_a_response_that_cannot_be_stored_is_not_requested_with_every_tick(
        self, make_client: Make, recorder: Recorder, clock: ScriptedClock
    ) -> None:
        """The disk is full. Once there is space, the batch is sent again, and counted once."""
        to_the_end_of_the_day(clock)
        client = make_client()
        device = client._device
        assert device is not None
        device.answer()
        with device._state.lock() as connection:
            connection.execute("PRAGMA query_only = ON")
        for _ in range(20):
            client.tick()
        assert len(recorder.requests) == 1
        with device._state.lock() as connection:
            connection.execute("PRAGMA query_only = OFF")
        clock.advance(seconds=3)
        client.tick()
        assert client.status().counters == {"delivered": 1}
        assert len(set(recorder.bodies)) == 1

    def test_the_backoff_has_full_jitter(self, survey: Survey) -> None:
        """After the nth failure, the wait is uniform below 2^n seconds, but below an hour."""
        from hushtally.client_sdk.delivery.backoff import Backoff

        now = datetime(2026, 11, 2, tzinfo=UTC)
        randomness = SeededRandomness(5)
        for failures, ceiling in ((1, 2), (3, 8), (8, 256), (11, 2_048), (12, 3_600), (5_000, 3_600)):
            waits = []
            for _ in range(300):
                backoff = Backoff()
                backoff._failures = failures - 1
                backoff.failed(now, randomness, "503")
                waits.append(backoff.remaining(now))
            assert max(waits) < ceiling
            # fails by chance 1 in 10^8: the mean of 300 uniform draws is within 5.8 standard errors
            assert abs(sum(waits) / 300 - ceiling / 2) < 5.8 * ceiling / (12 * 300) ** 0.5
