"""A printed status: a few short lines for people, with no answer in them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hushtally import Client
from hushtally.client_sdk.testing import Recorder, ScriptedClock

Make = Callable[..., Client]


def printed(client: Client) -> list[str]:
    return str(client.status()).splitlines()


def test_a_status_is_a_few_lines(make_client: Make, make_survey: Callable[..., object], clock: ScriptedClock) -> None:
    surveys = [make_survey(), make_survey("more", questions=2, every=28)]
    client = make_client(surveys, agree=False, transport=Recorder(ConnectionRefusedError()))
    assert printed(client) == [
        "habits v1: no consent; silent: the customer has not agreed; nothing spent",
        "more v1: no consent; silent: the customer has not agreed; nothing spent",
        "0 waiting to be sent",
    ]
    client.grant_consent()
    client.record("purchase", amount=31.25, category="canary")
    client.record("browse")
    client.tick()
    clock.now = clock.now.replace(hour=23, minute=59, second=59)
    client.tick()
    following = client.status().surveys[1].next
    assert printed(client) == [
        "habits v1: agreed; next answer in 2026-11-03; epsilon 1 spent of at most 28",
        f"more v1: agreed; next answer in {following}; epsilon 0 spent of at most 2",
        "1 waiting to be sent",
        "1 dropped: not in any survey",
        "not delivered: the last try failed: the connection was refused",
    ]
    client.withdraw_consent()
    assert printed(client) == [
        "habits v1: withdrew; silent: the customer withdrew; epsilon 1 spent of at most 28",
        "more v1: withdrew; silent: the customer withdrew; epsilon 0 spent of at most 2",
        "0 waiting to be sent",
        "not delivered: the last try failed: the connection was refused",
    ]


def test_after_the_last_answer_no_answer_is_planned(
    make_client: Make, make_survey: Callable[..., object], clock: ScriptedClock
) -> None:
    client = make_client(make_survey(days=1))
    clock.now = clock.now.replace(hour=23, minute=59, second=59)
    client.tick()
    assert printed(client) == [
        "habits v1: agreed; no answer planned; epsilon 1 spent of at most 1",
        "0 waiting to be sent",
        "1 delivered",
    ]


def test_the_reason_for_silence_comes_first(make_client: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    client = make_client()
    monkeypatch.setenv("HUSHTALLY_DISABLED", "1")
    assert printed(client)[:2] == [
        "silent: HUSHTALLY_DISABLED is set",
        "habits v1: agreed; no answer planned; epsilon 0 spent of at most 28",
    ]


def test_repr_shows_the_fields(make_client: Make) -> None:
    shown = repr(make_client().status())
    assert shown.startswith("Status(silent=None, surveys=(SurveyStatus(survey='habits', version=1, ")
