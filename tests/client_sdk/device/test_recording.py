"""What becomes of a call of `record` that cannot be kept: what the app is told of it, and what its log never holds."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

import pytest

from hushtally import Client, ClientError
from hushtally.client_sdk.survey.vocabulary import REQUIREMENT

Make = Callable[..., Client]


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records]


UNNAMED: list[tuple[str, dict[str, Any], str]] = [
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


@pytest.mark.parametrize(("event", "fields", "line"), UNNAMED)
def test_a_name_of_the_app_is_not_in_its_log(
    event: str, fields: dict[str, Any], line: str, make_client: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """Dropped, counted, warned about once, by what the survey names alone; the name may tell of the customer."""
    caplog.set_level(logging.DEBUG)
    client = make_client()
    for _ in range(3):
        client.record(event, **fields)
    assert told(caplog) == [("WARNING", line)]
    assert client.status().counters == {"dropped: not in any survey": 3}


@pytest.mark.parametrize(("event", "fields", "line"), UNNAMED)
def test_strict_tells_which(event: str, fields: dict[str, Any], line: str, make_client: Make) -> None:
    """In the app's own development the name is in the error."""
    with pytest.raises(ClientError) as error:
        make_client(strict=True).record(event, **fields)
    assert [*fields, event][0] in str(error.value)
    assert "not in any survey" in str(error.value)


def test_every_name_is_warned_about_once(make_client: Make, caplog: pytest.LogCaptureFixture) -> None:
    client = make_client()
    for name in ("one", "two", "one", "two"):
        client.record(name)
    assert len(told(caplog)) == 2


def test_an_event_that_is_no_text_is_dropped_too(make_client: Make, caplog: pytest.LogCaptureFixture) -> None:
    client = make_client()
    client.record(12345)  # type: ignore[arg-type]
    assert told(caplog) == [("WARNING", UNNAMED[0][2])]


def test_a_bool_is_dropped_and_what_to_pass_is_said_once(make_client: Make, caplog: pytest.LogCaptureFixture) -> None:
    """A type checker takes a bool for a number."""
    client = make_client()
    for flag in (True, False, True):
        client.record("purchase", amount=flag)
    required = f"field purchase.amount {REQUIREMENT} (for a bool pass 1 or 0)"
    assert told(caplog) == [("WARNING", f"record: {required}; the value was dropped")]
    assert client.status().counters == {"dropped: unusable value": 3}
    with pytest.raises(ClientError, match=re.escape(f"{required}, got bool")):
        make_client(strict=True).record("purchase", amount=True)


UNPERMITTED = "record: nothing is stored before consent, or while every survey is silent; status() says why"


def test_before_consent_one_line_says_that_nothing_is_kept(make_client: Make, caplog: pytest.LogCaptureFixture) -> None:
    """At INFO, as that is no mistake, and also with strict=True; nothing is counted, and it is silent no longer."""
    caplog.set_level(logging.INFO)
    client = make_client(agree=False, strict=True)
    for _ in range(3):
        client.record("purchase")
    assert told(caplog) == [("INFO", UNPERMITTED)]
    assert client.status().counters == {}
    client.grant_consent()
    client.record("purchase")
    assert len(told(caplog)) == 1


def test_so_it_does_where_the_machine_is_switched_off(
    make_client: Make, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    client = make_client()
    client.record("purchase")
    assert told(caplog) == [("INFO", UNPERMITTED)]
    assert client.status().silent == "DO_NOT_TRACK is set"


def test_after_close_one_line_says_that_nothing_is_kept(make_client: Make, caplog: pytest.LogCaptureFixture) -> None:
    """At WARNING: an app that goes on recording has closed too early."""
    client = make_client(strict=True)
    client.close()
    for _ in range(3):
        client.record("purchase")
    assert told(caplog) == [("WARNING", "record: the client is closed; nothing is stored")]
    assert client.status().counters == {}
