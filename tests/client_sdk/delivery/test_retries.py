"""Delivery: what is sent again, and when."""

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
from hushtally.client_sdk.delivery.transport import Answer
from hushtally.client_sdk.testing import Recorder, ScriptedClock, SeededRandomness
from hushtally.collector.app import create_app

Make = Callable[..., Client]
TAKEN = Answer(200, b'{"accepted": 1, "rejected": []}')


FAILURES: dict[str, Any] = {
    "reset": ConnectionResetError(),
    "timeout": TimeoutError(),
    "500": Answer(500, b""),
    "503": Answer(503, b""),
    "429": Answer(429, b"", retry_after=5.0),
    "408": Answer(408, b""),
    "redirect": Answer(302, b""),
    "a survey that it was not told of yet": Answer(422, b'{"type": "urn:hushtally:unknown_survey", "status": 422}'),
    **{
        f"a proxy's {status}": Answer(status, b"<html>\r\n<center>nginx</center>")
        for status in (400, 401, 403, 404, 405, 407, 410, 413, 451)
    },
    "a framework's 404": Answer(404, b'{"type": "about:blank", "title": "Not Found", "status": 404}'),
    "a deep 404": Answer(404, b"[" * 50_000),
    "a 401 that is no text": Answer(401, b"\xff\xfe"),
    "no content": Answer(204, b""),
    "a captive portal": Answer(200, b"<html>please log in</html>"),
    "cut": Answer(200, b'{"accepted": 1, "reje'),
    "more accepted than sent": Answer(200, b'{"accepted": 5, "rejected": []}'),
    "a field too few": Answer(200, b'{"accepted": 1}'),
    "deep": Answer(200, b"[" * 60_000),
    "numbers": Answer(200, b'{"accepted": 1e999, "rejected": 7}'),
    "a long number": Answer(200, b'{"accepted": ' + b"9" * 60_000 + b', "rejected": []}'),
    "an index beyond": Answer(
        200, b'{"accepted": 0, "rejected": [{"index": 7, "reason": "epoch_closed", "retryable": false}]}'
    ),
    "an index below": Answer(
        200, b'{"accepted": 0, "rejected": [{"index": -1, "reason": "epoch_closed", "retryable": false}]}'
    ),
    "wrong types": Answer(200, b'{"accepted": true, "rejected": [{"index": [], "reason": {}, "retryable": 3}]}'),
    "no text": Answer(200, b"\xff\xfe\x00"),
}


def to_the_end_of_the_day(clock: ScriptedClock) -> None:
    clock.now = clock.now.replace(hour=23, minute=59, second=59)


class TestRepeats:
    @pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
    def test_the_same_bytes_until_they_are_taken(self, failure: Any, make_client: Make, clock: ScriptedClock) -> None:
        """Whatever is no answer of a collector's leaves the batch as it was, and nothing is drawn again."""
        recorder = Recorder(*[failure] * 4, TAKEN)
        to_the_end_of_the_day(clock)
        client = make_client(transport=recorder)
        for _ in range(10):
            client.tick()
            clock.advance(seconds=60)
        assert len(recorder.requests) == 5
        assert len(set(recorder.bodies)) == 1
        assert {url for _, url, _ in recorder.requests} == {"https://tally.example/v1/reports"}
        assert client.status().counters == {"delivered": 1}

    def test_not_before_the_wait_is_over(self, make_client: Make, clock: ScriptedClock) -> None:
        """Ticks right after a failure leave the collector alone; a clock that moved on, as after sleep, ends it."""
        recorder = Recorder(Answer(503, b"", retry_after=600.0))
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

    def test_a_retry_after_of_a_century_is_a_day(
        self, make_client: Make, make_survey: Callable[..., Survey], clock: ScriptedClock
    ) -> None:
        recorder = Recorder(Answer(503, b"", retry_after=3e9), TAKEN)
        clock.now = datetime(2026, 11, 8, 23, 59, 59, tzinfo=UTC)
        client = make_client(make_survey(epoch="week"), transport=recorder)
        client.tick()
        clock.advance(hours=23.9)
        client.tick()
        assert len(recorder.requests) == 1
        clock.advance(hours=0.1)
        clock.advance(seconds=30)  # and the jitter
        client.tick()
        assert len(recorder.requests) == 2

    def test_devices_share_what_they_know_of_a_collector(
        self, make_client: Make, clock: ScriptedClock, serve: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One that hangs costs a kiosk, which opens one device after the other, one try and not one for each."""
        monkeypatch.setattr(sender, "TRY_SECONDS", 0.2)
        server = serve(lambda connection, _: connection.recv(1))
        to_the_end_of_the_day(clock)
        for customer in range(20):
            client = make_client(device=f"customer {customer}", collector=server.url, transport=HttpTransport())
            client.tick()
            client.close()
        assert 1 <= len(server.requests) <= 4  # the first waits are below 2, 4 and 8 seconds

    def test_a_batch_that_breaks_the_collector_does_not_keep_back_the_others(
        self, make_client: Make, make_survey: Callable[..., Survey], clock: ScriptedClock
    ) -> None:
        class Poisoned(Recorder):
            def request(self, method: str, url: str, body: bytes | None, timeout: float, most: int = 0) -> Answer:
                answer = super().request(method, url, body, timeout)
                return Answer(500, b"") if b'"survey":"b"' in (body or b"") else answer

        recorder = Poisoned()
        to_the_end_of_the_day(clock)
        client = make_client([make_survey(id) for id in ("a", "b", "c")], transport=recorder)
        client.tick()
        assert {batch.survey for batch in recorder.batches} == {"a", "b", "c"}
        assert client.status().counters == {"delivered": 2}
        assert not client.flush(0.2)
        assert len(recorder.requests) < 10

    @pytest.mark.parametrize("failure", [ConnectionResetError(), TimeoutError(), Answer(503, b"")])
    def test_a_batch_at_which_the_way_breaks_keeps_the_others_back_for_minutes(
        self, failure: Any, make_client: Make, make_survey: Callable[..., Survey], clock: ScriptedClock
    ) -> None:
        """It looks as if the collector were out of reach, as where a firewall ends what it takes for an attack."""

        class Walled(Recorder):
            def request(self, method: str, url: str, body: bytes | None, timeout: float, most: int = 0) -> Answer:
                answer = super().request(method, url, body, timeout)
                if self.batches[-1].id > lowest:
                    return answer
                if isinstance(failure, OSError):
                    raise failure
                return failure

        recorder = Walled()
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

    def test_every_batch_waits_for_itself(
        self, make_client: Make, make_survey: Callable[..., Survey], clock: ScriptedClock
    ) -> None:
        """One that no collector takes waits an hour by the end; those of later days leave with the first tick."""

        class Unknown(Recorder):
            def request(self, method: str, url: str, body: bytes | None, timeout: float, most: int = 0) -> Answer:
                answer = super().request(method, url, body, timeout)
                return Answer(422, b'{"type": "urn:hushtally:unknown_survey"}') if b'"new"' in (body or b"") else answer

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
        # fails by chance 1 in 10^8: waits of 30 minutes on average, with a deviation of 17 each, fill 7 days
        assert 250 < len(tries) < 440
        clock.advance(days=1)
        client.tick()
        assert client.status().counters["expired"] == 1

    def test_an_app_may_ship_before_the_collector_is_told_of_its_survey(
        self, make_client: Make, make_survey: Callable[..., Survey], clock: ScriptedClock, tmp_path: Path
    ) -> None:
        """The collector itself, started anew with one survey more a day later: what it refused until then counts."""

        class Direct:
            app: Flask

            def request(self, method: str, url: str, body: bytes | None, timeout: float, most: int = 0) -> Answer:
                answer = self.app.test_client().open(
                    urlsplit(url).path, method=method, data=body, content_type="application/json"
                )
                return Answer(answer.status_code, answer.data)

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
        assert seen == [({"delivered": 1}, 1), ({"delivered": 2}, 2)]  # the next day's answers are not due yet

    def test_a_batch_is_left_alone_although_its_client_is_opened_anew(
        self, make_client: Make, clock: ScriptedClock, serve: Any, answer_of: Any
    ) -> None:
        """As by a kiosk or a shop that opens a client for every visit."""
        server = serve(lambda connection, _: connection.sendall(answer_of(b"<html>nginx", "404 Not Found")))
        to_the_end_of_the_day(clock)
        for _ in range(50):
            client = make_client(collector=server.url, transport=HttpTransport())
            client.tick()
            client.close()
        assert 1 <= len(server.requests) <= 4  # the first waits are below 2, 4 and 8 seconds

    def test_failures_are_remembered_within_bounds(self) -> None:
        """For one more there is no room but the collector's, until the wait of others is over."""
        from hushtally.client_sdk.delivery.backoff import MOST_FAILING, Backoffs

        now, randomness, backoffs = datetime(2026, 11, 2, tzinfo=UTC), SeededRandomness(5), Backoffs()
        for number in range(MOST_FAILING):
            assert backoffs.failed(str(number), now, randomness, "503", 600.0)
        assert not backoffs.failed("another", now, randomness, "503")
        assert backoffs.failed("https://tally.example", now, randomness, "503", 600.0, always=True)
        assert backoffs.remaining("https://tally.example", now) > 300
        assert backoffs.remaining("0", now) > 300
        backoffs.succeeded("0")
        assert backoffs.remaining("0", now) == 0
        assert backoffs.failed("another", now + timedelta(hours=3), randomness, "503")
        assert len(backoffs._failing) == 1

    def test_another_device_may_succeed_while_what_is_over_is_forgotten(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """All devices of a process share what they know, each in a thread of its own."""
        from hushtally.client_sdk.delivery.backoff import Backoffs

        class Meanwhile(datetime):
            def timestamp(self) -> float:
                backoffs.succeeded(b"1")
                return super().timestamp()

        monkeypatch.setattr("hushtally.client_sdk.delivery.backoff.MOST_FAILING", 3)
        backoffs, randomness = Backoffs(), SeededRandomness(6)
        for name in (b"0", b"1", b"2"):
            backoffs.failed(name, datetime(2026, 11, 2, tzinfo=UTC), randomness, "refused")
        assert backoffs.failed(b"3", Meanwhile(2026, 11, 3, tzinfo=UTC), randomness, "refused")

    def test_more_failing_batches_than_are_remembered_leave_the_collector_alone(
        self, make_client: Make, recorder: Recorder, clock: ScriptedClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("hushtally.client_sdk.delivery.backoff.MOST_FAILING", 0)
        recorder._answers = [Answer(404, b"<html>")]
        to_the_end_of_the_day(clock)
        client = make_client()
        for _ in range(5):
            client.tick()
        assert len(recorder.requests) == 1

    def test_an_answer_that_cannot_be_noted_is_not_asked_for_with_every_tick(
        self, make_client: Make, recorder: Recorder, clock: ScriptedClock
    ) -> None:
        """On a disk that is full; once there is room it is asked for again, and counted once."""
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

    def test_the_wait_has_full_jitter(self, survey: Survey) -> None:
        """After the nth failure it is uniform below 2^n seconds, an hour at most."""
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
            # fails by chance 1 in 10^8: 300 uniform draws have their mean within 5.8 standard errors
            assert abs(sum(waits) / 300 - ceiling / 2) < 5.8 * ceiling / (12 * 300) ** 0.5
