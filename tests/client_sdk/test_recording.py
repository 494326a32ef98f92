"""What becomes of a call of `record` that cannot be kept: what the app is told of it, and what its log never holds."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from client_sdk import Client, ClientError

Make = Callable[..., Client]


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records]


UNNAMED: list[tuple[str, dict[str, Any], str]] = [
    (
        "alice@example.com bought insulin",
        {},
        "an event that no survey names is dropped; Client(strict=True) tells which",
    ),
    ("purchase by bob", {}, "an event that no survey names is dropped; did you mean 'purchase'?"),
    ("purchse", {}, "an event that no survey names is dropped; did you mean 'purchase'?"),
    (
        "purchase",
        {"alice@example.com": "insulin"},
        "a field of 'purchase' that no survey names is dropped; Client(strict=True) tells which",
    ),
    (
        "purchase",
        {"categorie": None},
        "a field of 'purchase' that no survey names is dropped; did you mean 'category'?",
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
    assert client.status().counters == {"dropped: not named": 3}


@pytest.mark.parametrize(("event", "fields", "line"), UNNAMED)
def test_strict_tells_which(event: str, fields: dict[str, Any], line: str, make_client: Make) -> None:
    """In the app's own development the name is in the error."""
    with pytest.raises(ClientError) as error:
        make_client(strict=True).record(event, **fields)
    assert [*fields, event][0] in str(error.value)
    assert "named by no survey" in str(error.value)


def test_every_name_is_warned_about_once(make_client: Make, caplog: pytest.LogCaptureFixture) -> None:
    client = make_client()
    for name in ("one", "two", "one", "two"):
        client.record(name)
    assert len(told(caplog)) == 2


def test_an_event_that_is_no_text_is_dropped_too(make_client: Make, caplog: pytest.LogCaptureFixture) -> None:
    client = make_client()
    client.record(12345)  # type: ignore[arg-type]
    assert told(caplog) == [("WARNING", UNNAMED[0][2])]
