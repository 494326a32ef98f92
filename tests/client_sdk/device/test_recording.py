"""Calls of `record` that store nothing: what is counted and logged, and what the log never contains."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

import pytest

from hushtally import Client, ClientError
from hushtally.client_sdk.survey.vocabulary import REQUIREMENT

Make = Callable[..., Client]


def log_lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records]


UNKNOWN: list[tuple[str, dict[str, Any], str]] = [
    (
        "alice@example.com bought insulin",
        {},
        "record: an event that is not in any survey was dropped; Client(strict=True) names it",
    ),
    ("purchase by bob", {}, "record: an event that is not in any survey was dropped; did you mean 'purchase'?"),
    ("purchse", {}, "record: an event that is not in any survey was dropped; did you mean 'purchase'?"),
    (
        "purchase",
        {"alice@example.com": "insulin"},
        "record: a field of 'purchase' that is not in any survey was dropped; Client(strict=True) names it",
    ),
    (
        "purchase",
        {"categorie": None},
        "record: a field of 'purchase' that is not in any survey was dropped; did you mean 'category'?",
    ),
]


@pytest.mark.parametrize(("event", "fields", "line"), UNKNOWN)
def test_a_name_from_the_app_is_not_logged(
    event: str, fields: dict[str, Any], line: str, make_client: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """It is dropped, counted and logged once. The line contains only names from the surveys."""
    caplog.set_level(logging.DEBUG)
    client = make_client()
    for _ in range(3):
        client.record(event, **fields)
    assert log_lines(caplog) == [("WARNING", line)]
    assert client.status().counters == {"dropped: not in any survey": 3}


@pytest.mark.parametrize(("event", "fields", "line"), UNKNOWN)
def test_strict_names_it(event: str, fields: dict[str, Any], line: str, make_client: Make) -> None:
    """During development the error contains the name."""
    with pytest.raises(ClientError) as error:
        make_client(strict=True).record(event, **fields)
    assert [*fields, event][0] in str(error.value)
    assert "not in any survey" in str(error.value)


def test_every_name_is_logged_once(make_client: Make, caplog: pytest.LogCaptureFixture) -> None:
    client = make_client()
    for name in ("one", "two", "one", "two"):
        client.record(name)
    assert len(log_lines(caplog)) == 2


def test_an_event_that_is_not_a_string_is_dropped(make_client: Make, caplog: pytest.LogCaptureFixture) -> None:
    client = make_client()
    client.record(12345)  # type: ignore[arg-type]
    assert log_lines(caplog) == [("WARNING", UNKNOWN[0][2])]


def test_a_bool_is_dropped_and_the_log_says_what_to_pass(make_client: Make, caplog: pytest.LogCaptureFixture) -> None:
    """A type checker accepts a bool as a number."""
    client = make_client()
    for flag in (True, False, True):
        client.record("purchase", amount=flag)
    required = f"field purchase.amount {REQUIREMENT} (for a bool pass 1 or 0)"
    assert log_lines(caplog) == [("WARNING", f"record: {required}; the value was dropped")]
    assert client.status().counters == {"dropped: unusable value": 3}
    with pytest.raises(ClientError, match=re.escape(f"{required}, got bool")):
        make_client(strict=True).record("purchase", amount=True)


BEFORE_CONSENT = "record: nothing is stored before consent, or while every survey is silent; status() says why"


def test_before_consent_one_line_says_that_nothing_is_stored(
    make_client: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """At level INFO, because it is not a mistake. Nothing is counted, and no further line follows."""
    caplog.set_level(logging.INFO)
    client = make_client(agree=False, strict=True)
    for _ in range(3):
        client.record("purchase")
    assert log_lines(caplog) == [("INFO", BEFORE_CONSENT)]
    assert client.status().counters == {}
    client.grant_consent()
    client.record("purchase")
    assert len(log_lines(caplog)) == 1


def test_after_an_opt_out_one_line_says_that_nothing_is_stored(
    make_client: Make, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    client = make_client()
    client.record("purchase")
    assert log_lines(caplog) == [("INFO", BEFORE_CONSENT)]
    assert client.status().silent == "DO_NOT_TRACK is set"


def test_after_close_one_line_says_that_nothing_is_stored(make_client: Make, caplog: pytest.LogCaptureFixture) -> None:
    """At level WARNING, because the app closed the client too early."""
    client = make_client(strict=True)
    client.close()
    for _ in range(3):
        client.record("purchase")
    assert log_lines(caplog) == [("WARNING", "record: the client is closed; nothing is stored")]
    assert client.status().counters == {}
