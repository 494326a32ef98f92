"""Delivery: the outcomes of a batch, the status text for each, and damaged rows of the outbox."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from hushtally import Client, Survey
from hushtally.client_sdk.delivery.http import HttpTransport
from hushtally.client_sdk.delivery.transport import Response
from hushtally.client_sdk.protocol.report import Batch, Report
from hushtally.client_sdk.state.outbox import count_reports
from hushtally.client_sdk.testing import Recorder, ScriptedClock

Make = Callable[..., Client]


def counted(*rejected: tuple[int, str, bool], accepted: int = 0) -> Response:
    """A collector's response. rejected: index, reason and retryable of each rejected report."""
    rows = [{"index": index, "reason": reason, "retryable": retryable} for index, reason, retryable in rejected]
    return Response(200, json.dumps({"accepted": accepted, "rejected": rows}).encode())


def to_the_end_of_the_day(clock: ScriptedClock) -> None:
    clock.now = clock.now.replace(hour=23, minute=59, second=59)


def execute(client: Client, statement: str) -> None:
    """Executes a statement on the state file of a running client."""
    assert client._device is not None
    with client._device._state.lock() as connection:
        connection.execute(statement)


NO_COLLECTOR = "a server that is not a hushtally collector answered with status {}"


class TestStatus:
    @pytest.mark.parametrize(
        ("failure", "why"),
        [
            (ConnectionRefusedError("canary"), "the last try failed: the connection was refused"),
            (TimeoutError("canary"), "the last try failed: there was no answer in time"),
            (Response(503, b"canary"), "the collector answered with status 503"),
            (Response(429, b"canary"), "the collector answered with status 429"),
            (Response(500, b"canary"), "the collector answered with status 500"),
            (
                Response(422, b'{"type": "urn:hushtally:unknown_survey", "title": "canary"}'),
                "the collector does not have the app's definition of habits v1",
            ),
            (Response(404, b"<html>canary"), NO_COLLECTOR.format(404)),
            (Response(302, b""), NO_COLLECTOR.format(302)),
            (Response(200, b"<html>please log in</html>"), NO_COLLECTOR.format(200)),
        ],
    )
    def test_states_why_the_last_attempt_failed_until_one_succeeds(
        self, failure: Any, why: str, make_client: Make, clock: ScriptedClock
    ) -> None:
        """The text contains nothing that a server sent."""
        recorder = Recorder(failure, counted(accepted=1))
        to_the_end_of_the_day(clock)
        client = make_client(transport=recorder)
        seen = [client.status().delivery]
        for _ in range(3):
            client.tick()
            seen.append(client.status().delivery)
            clock.advance(seconds=60)
        assert seen == [None, why, None, None]

    def test_states_why_one_batch_is_not_accepted_while_others_are(
        self, make_client: Make, make_survey: Callable[..., Survey], clock: ScriptedClock
    ) -> None:
        class Unknown(Recorder):
            def request(
                self, method: str, url: str, body: bytes | None, timeout: float, max_bytes: int = 0
            ) -> Response:
                answer = super().request(method, url, body, timeout)
                return (
                    Response(422, b'{"type": "urn:hushtally:unknown_survey"}') if b'"new"' in (body or b"") else answer
                )

        to_the_end_of_the_day(clock)
        client = make_client([make_survey("new"), make_survey("old")], transport=Unknown())
        for _ in range(5):
            client.tick()
            clock.advance(hours=2)
            assert client.status().delivery == "the collector does not have the app's definition of new v1"
        client.withdraw_consent()
        assert client.status().delivery is None

    def test_states_the_failure_of_another_client_of_the_same_collector(
        self, make_client: Make, clock: ScriptedClock, serve: Any, answer_of: Any
    ) -> None:
        """An app may open a new client for every visit. The earlier client made the attempt."""
        server = serve(lambda connection, _: connection.sendall(answer_of(b"", "503 No", "Retry-After: 600")))
        to_the_end_of_the_day(clock)
        for _ in range(3):
            client = make_client(collector=server.url, transport=HttpTransport())
            client.tick()
            assert client.status().delivery == "the collector answered with status 503"
            client.close()
        assert len(server.requests) == 1

    def test_states_that_a_response_could_not_be_stored(self, make_client: Make, clock: ScriptedClock) -> None:
        to_the_end_of_the_day(clock)
        client = make_client()
        assert client._device is not None
        client._device.answer()
        execute(client, "PRAGMA query_only = ON")
        client.tick()
        assert client.status().delivery == "the collector's response could not be stored: the state file is read-only"
        execute(client, "PRAGMA query_only = OFF")


class TestEndOfABatch:
    @pytest.mark.parametrize(
        ("answer", "counters"),
        [
            (Response(400, b'{"type": "urn:hushtally:malformed", "title": "canary"}'), {"refused: malformed": 3}),
            (Response(413, b'{"type": "urn:hushtally:too_large"}'), {"refused: too_large": 3}),
            (Response(415, b'{"type": "urn:hushtally:unsupported_content"}'), {"refused: unsupported_content": 3}),
            (
                counted((0, "symbol_out_of_range", False), (2, "canary", False), accepted=1),
                {"delivered": 1, "rejected: other": 1, "rejected: symbol_out_of_range": 1},
            ),
            (counted(*[(index, "epoch_closed", False) for index in range(3)]), {"rejected: epoch_closed": 3}),
        ],
    )
    def test_reports_that_can_never_count_are_dropped_and_counted_by_reason(
        self,
        answer: Response,
        counters: dict[str, int],
        make_client: Make,
        make_survey: Callable[..., Survey],
        clock: ScriptedClock,
    ) -> None:
        """Nothing else that a server sends enters the counters."""
        recorder = Recorder(answer)
        to_the_end_of_the_day(clock)
        client = make_client(make_survey(questions=3), transport=recorder)
        client.tick()
        client.tick()
        assert len(recorder.requests) == 1
        assert client.status().counters == counters
        assert client.status().waiting == 0

    def test_a_retryable_report_is_sent_again_unchanged_in_a_new_batch(
        self, make_client: Make, make_survey: Callable[..., Survey], clock: ScriptedClock
    ) -> None:
        recorder = Recorder(counted((1, "epoch_not_open", True), accepted=2), counted(accepted=1))
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
        assert client.status().counters == {"delivered": 3, "postponed: not accepted yet": 1}

    def test_a_report_that_is_always_retryable_is_sent_until_it_expires(
        self, make_client: Make, clock: ScriptedClock
    ) -> None:
        """This costs no epsilon and at most one request per tick. The report expires two epochs later."""

        class AlwaysRetryable(Recorder):
            def request(
                self, method: str, url: str, body: bytes | None, timeout: float, max_bytes: int = 0
            ) -> Response:
                super().request(method, url, body, timeout)
                return counted((0, "epoch_not_open", True))

        recorder = AlwaysRetryable()
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
        assert max(spent) == 5  # one answer a day, however often it is sent
        assert len(epochs) >= 3
        assert client.status().counters["expired"] >= 2

    def test_an_expired_report_is_dropped_and_counted(self, make_client: Make, clock: ScriptedClock) -> None:
        """Reports are accepted until the end of the next epoch: one of Monday is still sent on Tuesday night."""
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

    def test_reports_of_a_removed_survey_are_delivered_or_counted_as_lost(
        self, make_client: Make, make_survey: Callable[..., Survey], clock: ScriptedClock
    ) -> None:
        old, new = make_survey("old"), make_survey("new")
        client = make_client(old)
        client.tick()
        client.close()
        to_the_end_of_the_day(clock)
        recorder = Recorder(counted((0, "epoch_not_open", True)), counted((0, "epoch_not_open", True)))
        again = make_client(new, transport=recorder)
        again.tick()
        assert {batch.survey for batch in recorder.batches} == {"old", "new"}
        assert again.status().counters == {
            "dropped: the app no longer has the survey": 1,
            "postponed: not accepted yet": 1,
        }


class TestDamage:
    """A damaged row of the outbox is deleted and counted. All other rows are delivered."""

    @pytest.mark.parametrize(
        ("damage", "counters"),
        [
            ("body = substr(body, 1, 100)", {"dropped: damaged reports": 1}),
            ("body = replace(body, '}', ']')", {"dropped: damaged reports": 3}),
            ("body = x''", {"dropped: damaged reports": 1}),
            ("body = x'ff00'", {"dropped: damaged reports": 1}),
            ("body = 7.5", {"dropped: damaged reports": 1}),
            ("body = CAST(x'ff' AS TEXT)", {"dropped: damaged reports": 1}),
            ("body = zeroblob(2000000)", {"dropped: damaged reports": 1}),
            ("batch = 'x'", {"dropped: damaged reports": 3}),
            ("batch = 7", {"dropped: damaged reports": 3}),
            ("batch = x'ff'", {"dropped: damaged reports": 3}),
            ("batch = CAST(x'ff' AS TEXT)", {"dropped: damaged reports": 3}),
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
    def test_a_damaged_row_is_deleted_and_counted(
        self,
        damage: str,
        counters: dict[str, int],
        make_client: Make,
        make_survey: Callable[..., Survey],
        recorder: Recorder,
        clock: ScriptedClock,
    ) -> None:
        faults: list[Any] = []
        client = make_client([make_survey("a", questions=3), make_survey("b")], on_error=faults.append)
        client.tick()
        execute(client, f"UPDATE outbox SET {damage} WHERE instr(CAST(body AS TEXT), 'survey\":\"a')")
        to_the_end_of_the_day(clock)
        client.tick()
        client.tick()
        counters = Counter(counters) + Counter({"delivered": 1})
        status = client.status()
        assert (faults, status.counters, status.waiting, status.silent) == ([], counters, 0, None)
        assert [batch.survey for batch in recorder.batches].count("b") == 1
        assert len(recorder.batches) == (2 if counters["delivered"] > 1 else 1)

    def test_reports_are_counted_without_decoding_the_body(self) -> None:
        """The count is right for every cohort name, and if the end of the body is missing."""
        cohort = dict.fromkeys(("cohort", "epoch", "question", "symbol"), '"cohort":{},"epoch":"')
        reports = tuple(Report(f"q{number}", "2026-W45", cohort, number) for number in range(5))
        body = Batch("0" * 32, "habits", 1, "d" * 64, reports).encode()
        assert count_reports(body) == 5
        assert count_reports(body[:-20]) == 5
        assert count_reports(b"") == 1

    def test_a_row_without_a_valid_time_is_deleted_when_it_expires(
        self, make_client: Make, clock: ScriptedClock
    ) -> None:
        """The time to send it is unknown, but the row does not stay forever."""
        client = make_client()
        client.tick()
        execute(client, "UPDATE outbox SET due = 1e300")
        clock.advance(days=2)
        client.tick()
        assert client.status().counters["expired"] == 1

    def test_a_damaged_row_is_deleted_while_the_collector_is_unreachable(
        self, make_client: Make, clock: ScriptedClock
    ) -> None:
        to_the_end_of_the_day(clock)
        client = make_client(transport=Recorder(Response(503, b"", retry_after=86_400.0)))
        client.tick()
        execute(client, "UPDATE outbox SET body = x'ff'")
        client.tick()
        assert (client.status().waiting, client.status().counters) == (0, {"dropped: damaged reports": 1})
