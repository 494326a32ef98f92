"""Delivery: when a batch leaves, what is repeated, and what every answer of a collector means for it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask

from client_sdk import Client, Survey, delivery
from client_sdk.outbox import Waiting, moment
from client_sdk.randomness import SystemRandomness
from client_sdk.report import Batch, Report
from client_sdk.testing import Recorder, ScriptedClock, SeededRandomness
from client_sdk.transport import Answer, HttpTransport
from collector.app import create_app

Make = Callable[..., Client]


def told(*rejected: tuple[int, str, bool], accepted: int = 0) -> Answer:
    """A collector's answer that rejects reports (index, reason, retryable)."""
    rows = [{"index": index, "reason": reason, "retryable": retryable} for index, reason, retryable in rejected]
    return Answer(200, json.dumps({"accepted": accepted, "rejected": rows}).encode())


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
    "an index beyond": told((7, "epoch_closed", False)),
    "an index below": told((-1, "epoch_closed", False)),
    "wrong types": Answer(200, b'{"accepted": true, "rejected": [{"index": [], "reason": {}, "retryable": 3}]}'),
    "no text": Answer(200, b"\xff\xfe\x00"),
}


def to_the_end_of_the_day(clock: ScriptedClock) -> None:
    clock.now = clock.now.replace(hour=23, minute=59, second=59)


class TestWhenItLeaves:
    def test_at_a_random_moment_of_the_epoch(self, survey: Survey) -> None:
        """Uniform from now to the epoch's end: the mean of 20,000 within 4 standard errors, every tenth alike."""
        now = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
        ends = datetime(2026, 11, 3, tzinfo=UTC)
        span = (ends - now).total_seconds()
        randomness = SeededRandomness(3)
        shares = [(moment(survey, now, randomness) - now.timestamp()) / span for _ in range(20_000)]
        assert min(shares) >= 0
        assert max(shares) < 1
        # fails by chance 1 in 10^4 if the seed were drawn: 4 standard errors of a uniform mean, 4.7 of a tenth
        assert abs(sum(shares) / 20_000 - 0.5) < 4 * (1 / 12 / 20_000) ** 0.5
        tenths = Counter(int(10 * share) for share in shares)
        assert all(abs(number - 2_000) < 4.7 * (20_000 * 0.09) ** 0.5 for number in tenths.values())

    def test_not_before_its_moment_and_with_the_next_tick_after(
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

    def test_the_moment_is_the_same_whatever_the_customer_did(
        self, make_client: Make, clock: ScriptedClock, tmp_path: Path
    ) -> None:
        """Two lives with the same randomness, one busy and one idle, send in the same ticks of a week by the quarter
        hour: the draws of the moment come after that of the symbol, which takes the same words for any value."""
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

    def test_an_answer_made_in_the_last_second_leaves_at_once(
        self, make_client: Make, recorder: Recorder, clock: ScriptedClock
    ) -> None:
        to_the_end_of_the_day(clock)
        make_client().tick()
        assert len(recorder.requests) == 1

    def test_nothing_leaves_before_consent_or_after_it_was_withdrawn(
        self, make_client: Make, recorder: Recorder, clock: ScriptedClock
    ) -> None:
        to_the_end_of_the_day(clock)
        client = make_client(agree=False)
        client.tick()
        assert client.flush(1.0)
        client.grant_consent()
        clock.now = datetime(2026, 11, 3, 1, tzinfo=UTC)
        client.tick()
        client.withdraw_consent()
        to_the_end_of_the_day(clock)
        client.tick()
        assert client.flush(1.0)
        assert recorder.requests == []

    def test_a_withdrawal_stops_what_would_be_sent_next(
        self, make_client: Make, make_survey: Callable[..., Survey], clock: ScriptedClock
    ) -> None:
        """Of three batches whose time has come the first is under way when the customer withdraws."""
        client: Client

        class Withdrawing(Recorder):
            def request(self, *args: Any, **kwargs: Any) -> Answer:
                client.withdraw_consent()
                return super().request(*args, **kwargs)

        recorder = Withdrawing()
        to_the_end_of_the_day(clock)
        client = make_client([make_survey(id) for id in ("a", "b", "c")], transport=recorder)
        client.tick()
        assert len(recorder.requests) == 1
        assert client.status().waiting == 0


class TestRepeats:
    @pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
    def test_the_same_bytes_until_they_are_taken(self, failure: Any, make_client: Make, clock: ScriptedClock) -> None:
        """Whatever is no answer of a collector's leaves the batch as it was, and nothing is drawn again."""
        recorder = Recorder(*[failure] * 4, told(accepted=1))
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
        recorder = Recorder(Answer(503, b"", retry_after=3e9), told(accepted=1))
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
        monkeypatch.setattr(delivery, "TRY_SECONDS", 0.2)
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
        from client_sdk.backoff import MOST_FAILING, Backoffs

        now, randomness, backoffs = datetime(2026, 11, 2, tzinfo=UTC), SeededRandomness(5), Backoffs()
        for number in range(MOST_FAILING):
            assert backoffs.failed(str(number), now, randomness, "503", 60.0)
        assert not backoffs.failed("another", now, randomness, "503")
        assert backoffs.failed("https://tally.example", now, randomness, "503", 60.0, always=True)
        assert backoffs.remaining("https://tally.example", now) > 59
        assert backoffs.remaining("0", now) > 59
        backoffs.succeeded("0")
        assert backoffs.remaining("0", now) == 0
        assert backoffs.failed("another", now + timedelta(hours=3), randomness, "503")
        assert len(backoffs._failing) == 1

    def test_more_failing_batches_than_are_remembered_leave_the_collector_alone(
        self, make_client: Make, recorder: Recorder, clock: ScriptedClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("client_sdk.backoff.MOST_FAILING", 0)
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
        from client_sdk.backoff import Backoff

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


NO_COLLECTOR = "what answered {} is no collector"


class TestWhatItsStatusSays:
    @pytest.mark.parametrize(
        ("failure", "why"),
        [
            (ConnectionRefusedError("canary"), "the last try failed (ConnectionRefusedError)"),
            (TimeoutError("canary"), "the last try failed (TimeoutError)"),
            (Answer(503, b"canary"), "the collector answered 503"),
            (Answer(429, b"canary"), "the collector answered 429"),
            (Answer(500, b"canary"), "the collector answered 500"),
            (
                Answer(422, b'{"type": "urn:hushtally:unknown_survey", "title": "canary"}'),
                "the collector does not know habits v1 as the app has it",
            ),
            (Answer(404, b"<html>canary"), NO_COLLECTOR.format(404)),
            (Answer(302, b""), NO_COLLECTOR.format(302)),
            (Answer(200, b"<html>please log in</html>"), NO_COLLECTOR.format(200)),
        ],
    )
    def test_why_the_last_try_failed_until_one_goes_well(
        self, failure: Any, why: str, make_client: Make, clock: ScriptedClock
    ) -> None:
        """Nothing else that a server says is in it."""
        recorder = Recorder(failure, told(accepted=1))
        to_the_end_of_the_day(clock)
        client = make_client(transport=recorder)
        seen = [client.status().delivery]
        for _ in range(3):
            client.tick()
            seen.append(client.status().delivery)
            clock.advance(seconds=60)
        assert seen == [None, why, None, None]

    def test_of_a_batch_that_is_not_taken_although_others_are(
        self, make_client: Make, make_survey: Callable[..., Survey], clock: ScriptedClock
    ) -> None:
        class Unknown(Recorder):
            def request(self, method: str, url: str, body: bytes | None, timeout: float, most: int = 0) -> Answer:
                answer = super().request(method, url, body, timeout)
                return Answer(422, b'{"type": "urn:hushtally:unknown_survey"}') if b'"new"' in (body or b"") else answer

        to_the_end_of_the_day(clock)
        client = make_client([make_survey("new"), make_survey("old")], transport=Unknown())
        for _ in range(5):
            client.tick()
            clock.advance(hours=2)
            assert client.status().delivery == "the collector does not know new v1 as the app has it"
        client.withdraw_consent()
        assert client.status().delivery is None

    def test_also_of_a_client_that_leaves_the_collector_alone(
        self, make_client: Make, clock: ScriptedClock, serve: Any, answer_of: Any
    ) -> None:
        """As where a client is opened for every visit: another one has tried."""
        server = serve(lambda connection, _: connection.sendall(answer_of(b"", "503 No", "Retry-After: 600")))
        to_the_end_of_the_day(clock)
        for _ in range(3):
            client = make_client(collector=server.url, transport=HttpTransport())
            client.tick()
            assert client.status().delivery == "the collector answered 503"
            client.close()
        assert len(server.requests) == 1

    def test_that_an_answer_could_not_be_noted(self, make_client: Make, clock: ScriptedClock) -> None:
        to_the_end_of_the_day(clock)
        client = make_client()
        assert client._device is not None
        client._device.answer()
        execute(client, "PRAGMA query_only = ON")
        client.tick()
        assert client.status().delivery == "the collector's answer could not be noted (OperationalError)"
        execute(client, "PRAGMA query_only = OFF")


class TestTheEndOfABatch:
    @pytest.mark.parametrize(
        ("answer", "counters"),
        [
            (Answer(400, b'{"type": "urn:hushtally:malformed", "title": "canary"}'), {"refused: malformed": 3}),
            (Answer(413, b'{"type": "urn:hushtally:too_large"}'), {"refused: too_large": 3}),
            (Answer(415, b'{"type": "urn:hushtally:unsupported_content"}'), {"refused: unsupported_content": 3}),
            (
                told((0, "symbol_out_of_range", False), (2, "canary", False), accepted=1),
                {"delivered": 1, "rejected: other": 1, "rejected: symbol_out_of_range": 1},
            ),
            (told(*[(index, "epoch_closed", False) for index in range(3)]), {"rejected: epoch_closed": 3}),
        ],
    )
    def test_what_will_never_count_is_dropped_and_counted_by_reason(
        self,
        answer: Answer,
        counters: dict[str, int],
        make_client: Make,
        make_survey: Callable[..., Survey],
        clock: ScriptedClock,
    ) -> None:
        """Nothing else that a server says gets into the counters."""
        recorder = Recorder(answer)
        to_the_end_of_the_day(clock)
        client = make_client(make_survey(questions=3), transport=recorder)
        client.tick()
        client.tick()
        assert len(recorder.requests) == 1
        assert client.status().counters == counters
        assert client.status().waiting == 0

    def test_a_retryable_rejection_goes_out_again_unchanged_under_a_new_id(
        self, make_client: Make, make_survey: Callable[..., Survey], clock: ScriptedClock
    ) -> None:
        recorder = Recorder(told((1, "epoch_not_open", True), accepted=2), told(accepted=1))
        to_the_end_of_the_day(clock)
        client = make_client(make_survey(questions=3), transport=recorder)
        client.tick()
        clock.advance(seconds=2)
        to_the_end_of_the_day(clock)
        client.tick()
        first, *_, again = recorder.batches[0], *(one for one in recorder.batches if len(one.reports) == 1)
        assert again.reports == first.reports[1:2]
        assert again.id != first.id
        assert (again.survey, again.version, again.digest) == (first.survey, first.version, first.digest)

    def test_a_collector_that_wants_everything_again_gets_it_until_the_epoch_is_over(
        self, make_client: Make, clock: ScriptedClock
    ) -> None:
        """It costs no epsilon, a request a tick at most, and ends two epochs later, counted."""

        class Again(Recorder):
            def request(self, method: str, url: str, body: bytes | None, timeout: float, most: int = 0) -> Answer:
                super().request(method, url, body, timeout)
                return told((0, "epoch_not_open", True))

        recorder = Again()
        client = make_client(transport=recorder)
        spent = []
        for _ in range(4 * 48):
            client.tick()
            client.flush(0.5)
            spent.append(client.status().surveys[0].spent)
            clock.advance(hours=0.5)
        assert len(recorder.requests) < 3 * 4 * 48
        epochs = {epoch: set() for epoch in ("2026-11-02", "2026-11-03")}
        for batch in recorder.batches:
            for report in batch.reports:
                epochs.setdefault(report.epoch, set()).add((report.question, report.symbol))
        assert all(len(symbols) == 1 for symbols in epochs.values())
        assert max(spent) == 5  # one answer a day, whatever was asked for
        assert len(epochs) >= 3
        assert client.status().counters["expired"] >= 2

    def test_what_can_no_longer_be_accepted_is_dropped_and_counted(
        self, make_client: Make, clock: ScriptedClock
    ) -> None:
        """An epoch is accepted through the next one; a report of Monday still goes out on Tuesday night."""
        recorder = Recorder(ConnectionError())
        client = make_client(transport=recorder)
        client.tick()
        clock.now = datetime(2026, 11, 3, 23, 59, 58, tzinfo=UTC)
        client.tick()
        assert "2026-11-02" in {report.epoch for report in recorder.reports}
        recorder.requests.clear()
        clock.advance(hours=1)
        client.tick()
        assert client.status().counters == {"expired": 1}
        assert {report.epoch for report in recorder.reports} == {"2026-11-03"}

    def test_a_survey_that_the_app_no_longer_has_is_delivered_and_its_losses_counted(
        self, make_client: Make, make_survey: Callable[..., Survey], clock: ScriptedClock
    ) -> None:
        old, new = make_survey("old"), make_survey("new")
        client = make_client(old)
        client.tick()
        client.close()
        to_the_end_of_the_day(clock)
        recorder = Recorder(told((0, "epoch_not_open", True)), told((0, "epoch_not_open", True)))
        again = make_client(new, transport=recorder)
        again.tick()
        assert {batch.survey for batch in recorder.batches} == {"old", "new"}
        assert again.status().counters == {"dropped: the app has this survey no longer": 1}


class TestDamage:
    """A row of the outbox that is none any more: it goes, and is counted; all others are delivered."""

    @pytest.mark.parametrize(
        ("wound", "counters"),
        [
            ("body = substr(body, 1, 100)", {"dropped: damaged": 1}),
            ("body = replace(body, '}', ']')", {"dropped: damaged": 3}),
            ("body = x''", {"dropped: damaged": 1}),
            ("body = x'ff00'", {"dropped: damaged": 1}),
            ("body = 7.5", {"dropped: damaged": 1}),
            ("body = CAST(x'ff' AS TEXT)", {"dropped: damaged": 1}),
            ("body = zeroblob(2000000)", {"dropped: damaged": 1}),
            ("batch = 'x'", {"dropped: damaged": 3}),
            ("batch = 7", {"dropped: damaged": 3}),
            ("batch = x'ff'", {"dropped: damaged": 3}),
            ("batch = CAST(x'ff' AS TEXT)", {"dropped: damaged": 3}),
            ("expires = 'x'", {"expired": 3}),
            ("expires = 0", {"expired": 3}),
            ("expires = 0, due = 1e300", {"expired": 3}),
            ("expires = 0, body = x'ff'", {"expired": 1}),
            ("expires = x'ff'", {"expired": 3}),
            ("expires = CAST(x'ff' AS TEXT)", {"expired": 3}),
            ("due = 'x'", {"delivered": 3}),
            ("due = CAST(x'ff' AS TEXT)", {"delivered": 3}),
            ("due = -1e300", {"delivered": 3}),
        ],
    )
    def test_a_damaged_row_goes_and_is_counted(
        self,
        wound: str,
        counters: dict[str, int],
        make_client: Make,
        make_survey: Callable[..., Survey],
        recorder: Recorder,
        clock: ScriptedClock,
    ) -> None:
        faults: list[Any] = []
        client = make_client([make_survey("a", questions=3), make_survey("b")], on_error=faults.append)
        client.tick()
        execute(client, f"UPDATE outbox SET {wound} WHERE instr(CAST(body AS TEXT), 'survey\":\"a')")
        to_the_end_of_the_day(clock)
        client.tick()
        client.tick()
        counters = Counter(counters) + Counter({"delivered": 1})
        status = client.status()
        assert (faults, status.counters, status.waiting, status.silent) == ([], counters, 0, None)
        assert [batch.survey for batch in recorder.batches].count("b") == 1
        assert len(recorder.batches) == (2 if counters["delivered"] > 1 else 1)

    def test_reports_are_counted_without_being_read(self) -> None:
        """Whatever cohorts are called, and with one end of the body lost."""
        cohort = dict.fromkeys(("cohort", "epoch", "question", "symbol"), '"cohort":{},"epoch":"')
        reports = tuple(Report(f"q{number}", "2026-W45", cohort, number) for number in range(5))
        body = Batch("0" * 32, "habits", 1, "d" * 64, reports).encode()
        assert Waiting(b"", body, None).reports == 5
        assert Waiting(b"", body[:-20], None).reports == 5
        assert Waiting(b"", b"", None).reports == 1

    def test_a_row_without_a_time_goes_when_it_expires(self, make_client: Make, clock: ScriptedClock) -> None:
        """It cannot be told when to send it; but it does not stay."""
        client = make_client()
        client.tick()
        execute(client, "UPDATE outbox SET due = 1e300")
        clock.advance(days=2)
        client.tick()
        assert client.status().counters["expired"] == 1

    def test_what_cannot_be_sent_goes_also_while_the_collector_is_out_of_reach(
        self, make_client: Make, clock: ScriptedClock
    ) -> None:
        to_the_end_of_the_day(clock)
        client = make_client(transport=Recorder(Answer(503, b"", retry_after=86_400.0)))
        client.tick()
        execute(client, "UPDATE outbox SET body = x'ff'")
        client.tick()
        assert (client.status().waiting, client.status().counters) == (0, {"dropped: damaged": 1})


def execute(client: Client, statement: str) -> None:
    """Changes a client's state file under its feet."""
    assert client._device is not None
    with client._device._state.lock() as connection:
        connection.execute(statement)


class TestTwoAtOnce:
    def test_two_clients_of_one_device_make_one_answer(
        self, make_client: Make, recorder: Recorder, clock: ScriptedClock, tmp_path: Path
    ) -> None:
        to_the_end_of_the_day(clock)
        for client in [make_client(), make_client(), make_client()]:
            client.tick()
        assert len(recorder.requests) == 1

    def test_both_may_send_a_batch_but_one_settles_it(
        self, make_client: Make, make_survey: Callable[..., Survey], clock: ScriptedClock
    ) -> None:
        """The second gets its answer while the first waits: what became of it is counted once, what is to go out
        again is enqueued once. The collector knows the batch by its id."""
        other: Client
        recorder = Recorder(told((0, "epoch_not_open", True), (1, "epoch_closed", False), accepted=1))

        class Meanwhile(Recorder):
            def request(self, method: str, url: str, body: bytes | None, timeout: float, most: int = 0) -> Answer:
                other.tick()
                return recorder.request(method, url, body, timeout)

        survey = make_survey(questions=3)
        to_the_end_of_the_day(clock)
        other = make_client(survey, transport=recorder)
        first = make_client(survey, transport=Meanwhile())
        first.tick()
        ids = [batch.id for batch in recorder.batches if len(batch.reports) == 3]
        assert len(ids) == 2
        assert len(set(ids)) == 1
        assert first.status().counters == {"delivered": 1, "rejected: epoch_closed": 1}
        assert first.status().waiting == 1

    def test_a_tick_does_not_wait_for_another_thread_that_sends(self, make_client: Make, clock: ScriptedClock) -> None:
        client: Client

        class Nested(Recorder):
            def request(self, *args: Any, **kwargs: Any) -> Answer:
                if not self.requests:
                    self.requests.append(("", "", None))
                    client._run("tick", lambda device: device.send(5.0), None)
                    self.requests.clear()
                return super().request(*args, **kwargs)

        recorder = Nested()
        to_the_end_of_the_day(clock)
        client = make_client(transport=recorder)
        client.tick()
        assert len(recorder.requests) == 1


def test_the_batch_id_is_random_and_new_for_every_batch(make_client: Make, clock: ScriptedClock) -> None:
    recorder = Recorder()
    to_the_end_of_the_day(clock)
    client = make_client(transport=recorder, randomness=SystemRandomness())
    for _ in range(20):
        client.tick()
        clock.advance(days=1)
    assert len({batch.id for batch in recorder.batches}) == 20
    assert all(isinstance(batch, Batch) for batch in recorder.batches)
