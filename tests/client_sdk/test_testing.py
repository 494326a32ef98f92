"""The replacements for tests that are shipped with the SDK, and what an app sees when something fails."""

from __future__ import annotations

import doctest
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from hushtally import Client, ClientError, Fault, Survey
from hushtally.client_sdk import testing as testing_module
from hushtally.client_sdk.delivery.transport import Response
from hushtally.client_sdk.protocol.report import Batch, Report
from hushtally.client_sdk.survey.vocabulary import REQUIREMENT
from hushtally.client_sdk.testing import Recorder, ScriptedClock, ScriptedRandomness, SeededRandomness

Make = Callable[..., Client]


def test_a_client_without_network_or_waiting(make_client: Make, recorder: Recorder, clock: ScriptedClock) -> None:
    client = make_client()
    client.record("purchase", amount=20, category="books")
    client.tick()
    clock.advance(days=1)
    client.tick()
    assert [report.epoch for report in recorder.reports] == ["2026-11-02"]
    assert client.flush(120.0)


class TestRecorder:
    def test_it_answers_in_turn_and_repeats_the_last_answer(self) -> None:
        recorder = Recorder(ConnectionError("gone"), Response(503, b"", retry_after=60))
        with pytest.raises(ConnectionError, match="gone"):
            recorder.request("POST", "https://x", b"1", 1.0)
        assert [recorder.request("POST", "https://x", b"2", 1.0).status for _ in range(3)] == [503] * 3
        assert recorder.bodies == [b"1", b"2", b"2", b"2"]

    def test_reports_of_a_repeated_batch_are_listed_once(
        self, make_client: Make, clock: ScriptedClock, make_survey: Callable[..., Survey]
    ) -> None:
        recorder = Recorder(TimeoutError(), Response(200, b'{"accepted": 3, "rejected": []}'))
        clock.now = datetime(2026, 11, 2, 23, 59, 59, tzinfo=UTC)
        client = make_client(make_survey(questions=3), transport=recorder)
        client.tick()
        clock.advance(seconds=10)
        client.tick()
        assert len(recorder.batches) == 2
        assert len(recorder.reports) == 3
        assert repr(recorder.reports[0])

    def test_an_unexpected_string_is_shown_with_the_request(
        self, make_client: Make, recorder: Recorder, clock: ScriptedClock, survey: Survey
    ) -> None:
        client = make_client()
        client.record("purchase", category="canary")
        client.tick()
        clock.advance(days=1)
        client.tick()
        (report,) = recorder.reports
        allowed = ("habits", survey.digest, report.question, "2026-11-02", "platform", "web")
        recorder.assert_leaves_only(*allowed)
        for missing in allowed:
            with pytest.raises(AssertionError) as failure:
                recorder.assert_leaves_only(*(one for one in allowed if one != missing))
            assert missing in str(failure.value)
            assert recorder.bodies[0].decode() in str(failure.value)

    def test_a_request_that_is_not_a_batch_is_shown(self) -> None:
        """The SDK sends no other URL or body."""
        recorder = Recorder(Response(200, b""))
        recorder.request("POST", "https://x", b"canary", 1.0)
        with pytest.raises(AssertionError, match="canary"):
            recorder.assert_leaves_only()
        recorder = Recorder(Response(200, b""))
        recorder.request("GET", "https://x/?id=canary", None, 1.0)
        with pytest.raises(AssertionError, match="canary"):
            recorder.assert_leaves_only()
        batch = Batch("0" * 32, "habits", 1, "d", (Report("q", "2026-11-02", {}, 1),))
        recorder = Recorder()
        recorder.request("POST", "https://x/v1/reports?canary", batch.encode(), 1.0)
        with pytest.raises(AssertionError, match=r"another URL.*canary"):
            recorder.assert_leaves_only("habits", "d", "q", "2026-11-02")


def test_the_clock_moves_only_when_told() -> None:
    clock = ScriptedClock("2026-11-02T09:00:00")
    assert clock() == clock() == datetime(2026, 11, 2, 9, tzinfo=UTC)
    clock.advance(days=1, hours=-2, seconds=3)
    assert clock() == datetime(2026, 11, 3, 7, 0, 3, tzinfo=UTC)
    assert ScriptedClock("2026-11-02T09:00:00+02:00")() == datetime(2026, 11, 2, 7, tzinfo=UTC)


def test_randomness_from_a_script_or_a_seed() -> None:
    scripted = ScriptedRandomness([1 << 63, 0])
    assert [scripted.below(2), scripted.below(2)] == [1, 0]
    with pytest.raises(IndexError):
        scripted.word()
    assert [SeededRandomness(1).word() for _ in range(2)] == [SeededRandomness(1).word()] * 2
    assert SeededRandomness(1).word() != SeededRandomness(2).word()


def test_the_examples_in_the_docstrings_run() -> None:
    assert doctest.testmod(testing_module).failed == 0


class TestReporting:
    """Faults, warnings, logs and counters: every failure is reported, and never with a value."""

    def test_no_failure_reveals_a_value(
        self, make_client: Make, caplog: pytest.LogCaptureFixture, clock: ScriptedClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        caplog.set_level(logging.DEBUG)
        faults: list[Fault] = []

        class Broken(Recorder):
            def request(self, *_: Any, **__: Any) -> Response:
                raise ValueError("canary")

        clock.now = datetime(2026, 11, 2, 23, 59, 59, tzinfo=UTC)
        client = make_client(on_error=faults.append, transport=Broken())
        for value in ("canary" * 50, float("nan"), 8131.77e12, True, None, b"canary", ["canary"], {"canary": 1}):
            client.record("purchase", amount=value, category="canary", other="canary")  # type: ignore[arg-type]
        client.tick()
        client.flush(0.5)
        assert Fault("tick", "ValueError", "ValueError") in faults
        monkeypatch.setattr(client._device.journal, "_state", None)  # type: ignore[union-attr]
        client.record("purchase", category="canary")
        client._device.journal._buffered_since = 0.0  # type: ignore[union-attr]
        client.record("purchase", category="canary")
        client.tick()
        client.status()
        monkeypatch.undo()
        assert {fault.during for fault in faults} > {"tick", "flush"}
        assert "canary" not in caplog.text
        assert "8131" not in caplog.text
        assert "canary" not in repr(faults)
        assert {record.name for record in caplog.records} == {"hushtally"}

    def test_mistakes_of_the_app_are_logged_once(self, make_client: Make, caplog: pytest.LogCaptureFixture) -> None:
        client = make_client()
        for _ in range(3):
            client.record("browse", page="canary")
            client.record("purchase", colour="canary", amount="x" * 101)
        assert [record.message for record in caplog.records] == [
            "record: an event that is not in any survey was dropped; Client(strict=True) names it",
            "record: a field of 'purchase' that is not in any survey was dropped; Client(strict=True) names it",
            f"record: field purchase.amount {REQUIREMENT}; the value was dropped",
        ]
        assert client.status().counters == {"dropped: not in any survey": 6, "dropped: unusable value": 3}

    def test_mistakes_are_logged_once_in_a_process_with_many_clients(
        self, make_client: Make, caplog: pytest.LogCaptureFixture
    ) -> None:
        for _ in range(3):
            with make_client() as client:
                client.record("browse")
        assert [record.levelname for record in caplog.records] == ["WARNING"]

    def test_before_consent_nothing_is_counted(self, make_client: Make) -> None:
        client = make_client(agree=False)
        client.record("browse")
        client.record("purchase", colour="red")
        assert client.status().counters == {}

    def test_strict_raises_instead(self, make_client: Make) -> None:
        client = make_client(strict=True)
        client.record("purchase", amount=1)
        with pytest.raises(ClientError, match="'browse' is not in any survey; the surveys use purchase"):
            client.record("browse")
        with pytest.raises(ClientError, match=r"\[\] is not in any survey"):
            client.record([])  # type: ignore[arg-type]
        with pytest.raises(ClientError, match=r"purchase\.colour is not in any survey"):
            client.record("purchase", colour="canary")
        with pytest.raises(ClientError) as failure:
            client.record("purchase", amount="canary" * 20)
        assert "canary" not in str(failure.value)

    def test_an_invalid_timeout_of_flush_is_reported(self, make_client: Make, caplog: pytest.LogCaptureFixture) -> None:
        assert make_client().flush(None) is False  # type: ignore[arg-type]
        assert caplog.messages == ["flush: timeout must be a number of seconds, got NoneType"]

    def test_an_error_in_on_error_is_kept_out_of_the_app(
        self, make_client: Make, caplog: pytest.LogCaptureFixture, clock: ScriptedClock
    ) -> None:
        def handler(fault: Fault) -> None:
            raise RuntimeError("canary")

        class Broken(Recorder):
            def request(self, *_: Any, **__: Any) -> Response:
                raise KeyError("canary")

        clock.now = datetime(2026, 11, 2, 23, 59, 59, tzinfo=UTC)
        make_client(on_error=handler, transport=Broken()).tick()
        assert [record.message for record in caplog.records] == [
            "tick failed: KeyError",
            "on_error failed: RuntimeError",
        ]

    def test_the_status_changes_with_consent_and_answers(self, make_client: Make, clock: ScriptedClock) -> None:
        client = make_client(agree=False)
        status = client.status()
        assert (status.silent, status.waiting, status.counters) == (None, 0, {})
        assert (status.surveys[0].consent, status.surveys[0].silent) == (False, "the customer has not agreed")
        client.grant_consent()
        client.tick()
        status = client.status()
        assert (status.waiting, status.surveys[0].spent) == (1, 1.0)
        assert status.surveys[0].silent is None
