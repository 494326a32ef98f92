"""The HTTP routes of the collector, through Flask's test client."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from hushtally.client_sdk.errors import SurveyError
from hushtally.client_sdk.protocol.report import MAX_BYTES
from hushtally.client_sdk.survey import Survey
from hushtally.collector import app as module
from hushtally.collector.app import create_app
from hushtally.collector.store import StoreError

TODAY = date(2026, 11, 24)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "counts.db"


@pytest.fixture
def app(path: Path, survey: Survey) -> Iterator[Flask]:
    app = create_app([survey], path, clock=lambda: TODAY)
    yield app
    app.extensions["hushtally"].close()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def post(client: FlaskClient, body: bytes, content_type: str | None = "application/json", **headers: str) -> Any:
    return client.post("/v1/reports", data=body, content_type=content_type, headers=headers)


def counts(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        found: int | None = connection.execute("SELECT sum(count) FROM counts").fetchone()[0]
    return found or 0


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def test_a_batch_is_durable_before_its_response(client: FlaskClient, path: Path, batches: Any) -> None:
    """The status is 200, and the body has the number of accepted reports and the rejected reports."""
    response = post(client, batches.batch(batches.report(), batches.report(days=-2)).encode())
    assert response.status_code == 200
    assert response.content_type == "application/json"
    assert response.data == b'{"accepted":1,"rejected":[{"index":1,"reason":"epoch_closed","retryable":false}]}'
    assert counts(path) == 1


@pytest.mark.parametrize("hours", [-12, 0, 14])
def test_a_clock_of_any_time_zone_gives_the_day_in_utc(path: Path, survey: Survey, batches: Any, hours: int) -> None:
    """At 01:00 and 23:00 UTC, the date in one of these zones is another one."""
    for hour, days in ((1, -2), (1, -1), (23, 0), (23, 1)):
        moment = datetime.combine(TODAY, time(hour), UTC).astimezone(timezone(timedelta(hours=hours)))
        app = create_app([survey], path, clock=lambda moment=moment: moment)  # type: ignore[misc]
        response = post(app.test_client(), batches.batch(batches.report(days=days)).encode())
        assert json.loads(response.data)["accepted"] == (days in (-1, 0))
        app.extensions["hushtally"].close()


def test_a_retry_gets_the_same_response(path: Path, survey: Survey, batches: Any) -> None:
    """This includes a retry in another epoch and after a restart. The reports are counted once."""
    body = batches.batch(batches.report(), batches.report(days=1)).encode()
    responses = []
    for day in (TODAY, TODAY, TODAY + timedelta(days=1), TODAY + timedelta(days=2)):
        app = create_app([survey], path, clock=lambda day=day: day)  # type: ignore[misc]
        responses += [post(app.test_client(), body).data for _ in range(2)]
        app.extensions["hushtally"].close()
    assert len(set(responses)) == 1
    assert json.loads(responses[0])["accepted"] == 1
    assert counts(path) == 1


REFUSED = [
    (b"{}", "application/json", {}, 400, "malformed", "the batch is missing batch, survey, version, digest, reports"),
    (b"x" * (MAX_BYTES + 1), "application/json", {}, 413, "too_large", "the body must have at most 262,144 bytes"),
    (b"{}", "text/plain", {}, 415, "unsupported_content", "Content-Type must be application/json"),
    (b"{}", None, {}, 415, "unsupported_content", "Content-Type must be application/json"),
    (b"{}", "application/json", {"Content-Encoding": "gzip"}, 415, "unsupported_content", "must not be compressed"),
]


@pytest.mark.parametrize(("body", "content_type", "headers", "status", "kind", "detail"), REFUSED)
def test_a_request_is_refused_with_problem_details(
    body: bytes, content_type: str | None, headers: dict[str, str], status: int, kind: str, detail: str,
    client: FlaskClient,
) -> None:  # fmt: skip
    """RFC 9457 requires the media type, the status in the body too, a type for programs, a title and a detail."""
    response = post(client, body, content_type, **headers)
    assert response.status_code == status
    assert response.content_type == "application/problem+json"
    problem = json.loads(response.data)
    assert problem.keys() == {"type", "title", "status", "detail"}
    assert problem["type"] == f"urn:hushtally:{kind}"
    assert problem["status"] == status
    assert detail in problem["detail"]


def test_an_unknown_survey_is_refused(client: FlaskClient, batches: Any) -> None:
    response = post(client, replace(batches.batch(batches.report()), digest="0" * 64).encode())
    assert response.status_code == 422
    assert json.loads(response.data)["type"] == "urn:hushtally:unknown_survey"


def test_a_survey_can_be_fetched(client: FlaskClient, survey: Survey) -> None:
    """The resolved definition parses to the same survey, and its digest is the stated digest."""
    response = client.get("/v1/surveys/habits/1")
    stated = json.loads(response.data)
    assert stated["digest"] == survey.digest
    assert Survey.from_resolved(stated["survey"]).digest == survey.digest


@pytest.mark.parametrize(
    ("method", "url", "status", "title"),
    [
        ("GET", "/", 404, "Not Found"),
        ("GET", "/v1/surveys/habits/2", 404, "Not Found"),
        ("GET", "/v1/surveys/habits/one", 404, "Not Found"),
        ("GET", "/v1/surveys", 404, "Not Found"),
        ("GET", "/v1/reports", 405, "Method Not Allowed"),
        ("DELETE", "/v1/surveys/habits/1", 405, "Method Not Allowed"),
    ],
)
def test_other_requests_are_refused_with_problem_details_too(
    method: str, url: str, status: int, title: str, client: FlaskClient
) -> None:
    response = client.open(url, method=method)
    assert response.status_code == status
    assert response.content_type == "application/problem+json"
    problem = json.loads(response.data)
    assert (problem["type"], problem["title"], problem["status"]) == ("about:blank", title, status)
    assert ("Allow" in response.headers) == (status == 405)


@pytest.mark.parametrize("rest", ["", "/", "/habits", "/habits/2", "/habits/one", "/other/1", "/habits/1/digest"])
def test_the_response_for_an_unknown_survey_lists_the_collected_surveys(
    rest: str, client: FlaskClient, survey: Survey
) -> None:
    response = client.get(f"/v1/surveys{rest}")
    assert response.status_code == 404
    assert json.loads(response.data)["detail"] == (
        f"a survey is at /v1/surveys/ID/VERSION; collected: habits v1 (digest {survey.digest})"
    )


def test_an_unexpected_error_reveals_nothing(
    client: FlaskClient, batches: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The status is 500 without a reason. The log has the traceback and the type of the error, but not its message.

    The message might quote a report.
    """

    def broken(*_: object) -> None:
        raise KeyError("canary")

    monkeypatch.setattr(module, "admit", broken)
    with caplog.at_level(logging.DEBUG):
        response = post(client, batches.batch(batches.report()).encode())
    assert response.status_code == 500
    assert response.content_type == "application/problem+json"
    assert json.loads(response.data) == {"type": "about:blank", "title": "Internal Server Error", "status": 500}
    assert "unexpected KeyError" in caplog.text
    assert "canary" not in caplog.text.replace('raise KeyError("canary")', "")


def test_health_follows_the_writer(client: FlaskClient, app: Flask, batches: Any) -> None:
    """After the writer has stopped, /healthz and /v1/reports respond with 503 and Retry-After."""
    assert client.get("/healthz").data == b'{"status":"ok"}'
    app.extensions["hushtally"].close()
    for response in (client.get("/healthz"), post(client, batches.batch(batches.report()).encode())):
        assert response.status_code == 503
        assert response.headers["Retry-After"] == "5"
        assert json.loads(response.data)["type"] == "urn:hushtally:unavailable"


def test_a_survey_given_twice_creates_no_database(path: Path, survey: Survey) -> None:
    with pytest.raises(SurveyError, match="habits v1 must be given once"):
        create_app([survey, survey], path)
    assert not path.exists()


def test_a_changed_survey_is_refused_and_the_database_is_closed(path: Path, survey: Survey) -> None:
    create_app([survey], path, clock=lambda: TODAY).extensions["hushtally"].close()
    before = dump(path)
    with pytest.raises(StoreError, match="title: 'Habits' -> 'Manners'"):
        create_app([replace(survey, title="Manners")], path, clock=lambda: TODAY)
    assert dump(path) == before
    assert list(path.parent.iterdir()) == [path]


def test_only_the_given_surveys_are_collected(path: Path, survey: Survey, batches: Any) -> None:
    """A survey that is only in the database is neither served nor counted."""
    create_app([survey], path, clock=lambda: TODAY).extensions["hushtally"].close()
    app = create_app([replace(survey, version=2)], path, clock=lambda: TODAY)
    assert post(app.test_client(), batches.batch(batches.report()).encode()).status_code == 422
    assert app.test_client().get("/v1/surveys/habits/1").status_code == 404
    assert app.test_client().get("/v1/surveys/habits/2").status_code == 200
    app.extensions["hushtally"].close()
