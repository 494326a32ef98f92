"""Fetching a survey accepts the pinned survey, or one below the app's ceilings. Everything else is refused."""

from __future__ import annotations

import json
import math
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from hushtally import Client, ClientError, Survey, fetch_survey
from hushtally.client_sdk.canonical_json import canonical_json, sha256
from hushtally.client_sdk.delivery.transport import Response
from hushtally.client_sdk.testing import Recorder, ScriptedClock, SeededRandomness

URL = "https://tally.example"
CEILINGS: Any = {"max_epsilon": 8.0, "max_lifetime_epsilon": 1_000.0}


def serving(survey: object, status: int = 200) -> Recorder:
    return Recorder(Response(status, json.dumps({"survey": survey, "digest": "what the server says"}).encode()))


def test_the_pinned_survey_is_accepted(survey: Survey) -> None:
    recorder = serving(survey.resolved)
    assert fetch_survey(URL + "/", "habits", 1, digest=survey.digest, transport=recorder) == survey
    assert recorder.requests == [("GET", f"{URL}/v1/surveys/habits/1", None)]


def test_a_survey_below_the_ceilings_is_accepted(survey: Survey) -> None:
    fetched = fetch_survey(
        URL, "habits", 1, max_epsilon=1.0, max_lifetime_epsilon=28.0, transport=serving(survey.resolved)
    )
    assert fetched.digest == survey.digest


def test_a_survey_that_costs_exactly_the_ceiling_is_taken(make_survey: Callable[..., Survey]) -> None:
    """Also if the sum of its epsilons is rounded up: 0.1 + 0.1 + 0.1."""
    survey = make_survey(epsilon=0.1, days=3)
    limits: Any = {"max_epsilon": 0.1, "max_lifetime_epsilon": 0.3}
    assert fetch_survey(URL, "habits", 1, transport=serving(survey.resolved), **limits) == survey


def test_the_digest_is_computed_instead_of_trusted(survey: Survey, make_survey: Callable[..., Survey]) -> None:
    """The server states the pinned digest, but serves another survey."""
    body = canonical_json({"survey": make_survey(epsilon=2.0).resolved, "digest": survey.digest}).encode()
    with pytest.raises(ClientError, match="not the pinned"):
        fetch_survey(URL, "habits", 1, digest=survey.digest, transport=Recorder(Response(200, body)))


def test_a_pinned_definition_must_be_resolved(survey: Survey) -> None:
    written = {key: value for key, value in survey.resolved.items() if key != "retention_days"}
    with pytest.raises(ClientError, match="not resolved"):
        fetch_survey(URL, "habits", 1, digest=sha256(written), transport=serving(written))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({}, "needs a digest to pin, or both"),
        ({"max_epsilon": 1.0}, "needs a digest to pin, or both"),
        ({"max_lifetime_epsilon": 1.0}, "needs a digest to pin, or both"),
        ({"max_epsilon": 0.5, "max_lifetime_epsilon": 99.0}, "with epsilon 1, but"),
        ({"max_epsilon": 1.0, "max_lifetime_epsilon": 27.0}, "has a lifetime epsilon of 28, but"),
        ({"digest": "0" * 64}, "not the pinned 000"),
    ],
)
def test_a_survey_beyond_the_limits_is_refused(limits: dict[str, Any], message: str, survey: Survey) -> None:
    with pytest.raises(ClientError, match=message):
        fetch_survey(URL, "habits", 1, transport=serving(survey.resolved), **limits)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"id": 5}, "id must be a string, got 5"),
        ({"version": "1"}, "version must be a whole number, got '1'"),
        ({"timeout": None}, "timeout must be a number of seconds above 0, got None"),
        ({"timeout": 0}, "timeout must be a number of seconds above 0, got 0"),
    ],
)
def test_invalid_arguments_are_refused(asked: dict[str, Any], message: str, survey: Survey) -> None:
    with pytest.raises(ClientError, match=f"^{message}$"):
        fetch_survey(URL, **{"id": "habits", "version": 1, **CEILINGS} | asked, transport=serving(survey.resolved))


def test_the_timeout_may_be_infinite(survey: Survey, serve: Any, answer_of: Any) -> None:
    body = canonical_json({"survey": survey.resolved, "digest": survey.digest}).encode()
    server = serve(lambda connection, _: connection.sendall(answer_of(body)))
    assert fetch_survey(server.url, "habits", 1, digest=survey.digest, timeout=math.inf) == survey


def test_a_pinned_survey_may_have_ceilings_too(survey: Survey) -> None:
    with pytest.raises(ClientError, match="with epsilon 1, but"):
        fetch_survey(URL, "habits", 1, digest=survey.digest, max_epsilon=0.5, transport=serving(survey.resolved))


@pytest.mark.parametrize(("id", "version"), [("other", 1), ("habits", 2)])
def test_a_survey_with_another_id_or_version_is_refused(id: str, version: int, survey: Survey) -> None:
    with pytest.raises(ClientError, match="serves another survey: habits v1"):
        fetch_survey(URL, id, version, transport=serving(survey.resolved), **CEILINGS)


@pytest.mark.parametrize("epsilon", [80, 8.1, -1, 0, "1", None, True, [1], 1e400])
def test_an_invalid_epsilon_is_refused_whatever_the_ceilings(epsilon: object, survey: Survey) -> None:
    """No valid survey has an epsilon above 8."""
    wide: Any = {"max_epsilon": 1e9, "max_lifetime_epsilon": 1e9}
    definition = json.loads(json.dumps(survey.resolved))
    definition["privacy"]["epsilon"] = epsilon
    with pytest.raises(ClientError):
        fetch_survey(URL, "habits", 1, transport=serving(definition), **wide)
    definition = json.loads(json.dumps(survey.resolved))
    definition["questions"][0]["epsilon"] = epsilon
    with pytest.raises(ClientError):
        fetch_survey(URL, "habits", 1, transport=serving(definition), **wide)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"null",
        b"[]",
        b'"survey"',
        b'{"survey": null}',
        b'{"survey": []}',
        b'{"survey": {}}',
        b'{"survey": NaN}',
        b'{"survey": {"id": 1e999}}',
        b'{"survey": ' + b"[" * 100_000,
        b'{"survey": ' + b'{"a":' * 5_000 + b"1" + b"}" * 5_001,
        b'{"survey": {"version": ' + b"9" * 10_000 + b"}}",
        b"\xff\xfe\x00",
        b"<html>",
        b'{"survey": "' + b"x" * 4_000_000 + b'"}',
    ],
    ids=range(16),
)
@pytest.mark.parametrize("limits", [CEILINGS, {"digest": "0" * 64}], ids=["ceilings", "pinned"])
def test_every_invalid_body_is_a_client_error(body: bytes, limits: Any) -> None:
    with pytest.raises(ClientError, match=r"does not serve a survey|not the pinned"):
        fetch_survey(URL, "habits", 1, transport=Recorder(Response(200, body)), **limits)


@pytest.mark.parametrize("status", [301, 404, 500])
def test_another_status_is_a_client_error(status: int, survey: Survey) -> None:
    with pytest.raises(ClientError, match=f"the collector answered with status {status}"):
        fetch_survey(URL, "habits", 1, transport=serving(survey.resolved, status), **CEILINGS)


def test_no_response_is_a_client_error_within_the_timeout(serve: Any) -> None:
    server = serve(lambda connection, _: time.sleep(60))
    with pytest.raises(ClientError, match="cannot be fetched: there was no answer in time"):
        fetch_survey(server.url, "habits", 1, timeout=0.2, **CEILINGS)


def test_the_timeout_of_the_app_is_that_of_the_request(survey: Survey) -> None:
    class Timed(Recorder):
        def request(self, method: str, url: str, body: bytes | None, timeout: float, *most: int) -> Response:
            timeouts.append(timeout)
            return super().request(method, url, body, timeout, *most)

    timeouts: list[float] = []
    answer = Response(200, json.dumps({"survey": survey.resolved}).encode())
    fetch_survey(URL, "habits", 1, timeout=0.2, transport=Timed(answer), **CEILINGS)
    assert timeouts == [0.2]


def test_an_id_is_escaped_in_the_url(survey: Survey) -> None:
    recorder = serving(survey.resolved)
    with pytest.raises(ClientError):
        fetch_survey(URL, "../../x?y#z", 1, transport=recorder, **CEILINGS)
    assert recorder.requests[0][1] == f"{URL}/v1/surveys/..%2F..%2Fx%3Fy%23z/1"


def test_a_survey_is_fetched_from_a_server(serve: Any, survey: Survey, answer_of: Any) -> None:
    body = canonical_json({"survey": survey.resolved, "digest": survey.digest}).encode()
    server = serve(lambda connection, _: connection.sendall(answer_of(body)))
    assert fetch_survey(server.url, "habits", 1, digest=survey.digest) == survey


def test_a_malicious_definition_costs_bounded_time_and_memory(survey: Survey) -> None:
    """Four megabytes of segments, crossed in every way, cost at most some seconds and megabytes."""
    definition = json.loads(json.dumps(survey.resolved))
    parts = [
        {"id": f"q{index}", "one_of": "favourite", "categories": [f"{n:x}" for n in range(255)], "epsilon": 1.0}
        for index in range(8)
    ]
    pairs = [(left, right) for left in range(8) for right in range(8) if left != right]
    definition["questions"] = parts + [
        {"id": f"c{index}", "cross": [f"q{left}", f"q{right}"], "epsilon": 1.0}
        for index, (left, right) in enumerate(pairs)
    ]
    began = time.process_time()
    tracemalloc.start()
    with pytest.raises(ClientError):
        fetch_survey(URL, "habits", 1, transport=serving(definition), max_epsilon=1.0, max_lifetime_epsilon=1.0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000_000
    assert time.process_time() - began < 15


def test_the_ceiling_bounds_a_collector_that_serves_a_new_survey_every_day(
    make_client: Any, survey: Survey, clock: ScriptedClock
) -> None:
    """The app pins no digest and keeps consent. Every day the same version has another definition that costs 28."""
    recorder = Recorder()
    for day in range(20):
        served = json.loads(json.dumps(survey.resolved | {"purpose": f"Purpose {day}."}))
        limits: Any = {"max_epsilon": 1.0, "max_lifetime_epsilon": 30.0}
        fetched = fetch_survey(URL, "habits", 1, transport=serving(served), **limits)
        client = make_client(
            fetched,
            agree=day == 0,
            transport=recorder,
            randomness=SeededRandomness(day),
            keep_consent=True,
            max_lifetime_epsilon=30.0,
        )
        for _ in range(2):
            client.tick()
            clock.advance(hours=12)
        assert client.status().surveys[0].consent
        assert client.status().surveys[0].budget <= 30
        client.close()
    assert len(recorder.reports) == 3  # another 28 would exceed the ceiling


def test_two_surveys_are_independent_and_one_of_them_ends(
    make_client: Any, make_survey: Callable[..., Survey], clock: ScriptedClock, tmp_path: Any
) -> None:
    """Each survey has its own consent, answers and costs.

    Events that only the ended survey used are deleted, and its outbox is still delivered.
    """
    import sqlite3

    short = make_survey("short", days=7)
    text = canonical_json(make_survey("long").resolved).replace("purchase", "visit")
    long = Survey.from_resolved(json.loads(text))
    recorder = Recorder()
    client: Client = make_client([short, long], transport=recorder)
    for _ in range(8 * 4):
        client.record("purchase", amount=3, category="canary")
        client.record("visit", amount=4, category="music")
        client.tick()
        clock.advance(hours=6)
    assert {batch.survey for batch in recorder.batches} == {"short", "long"}
    assert sum(batch.survey == "short" for batch in recorder.batches) == 7
    status = {one.survey: one for one in client.status().surveys}
    assert status["short"].silent == "the survey is over"
    assert status["short"].spent == 7
    assert status["long"].silent is None
    with sqlite3.connect(tmp_path / "state.db") as connection:
        assert {name for (name,) in connection.execute("SELECT DISTINCT name FROM events")} == {"visit"}
    connection.close()
    client.close()
    assert b"canary" not in (tmp_path / "state.db").read_bytes()
