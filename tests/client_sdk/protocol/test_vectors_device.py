"""The shipped client sends what the vectors `device` and `delivery` state, byte for byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hushtally.client_sdk.delivery.backoff import MAX_RETRY_AFTER
from hushtally.client_sdk.survey import Survey
from vector_player import ScriptedWords, play_delivery, play_device, retry_after

VECTORS = Path(__file__).parents[2] / "vectors"


def load(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))
    assert content["format"] == 1
    return content


DELIVERY, DEVICE = load("delivery"), load("device")
SURVEY = Survey.from_resolved(DELIVERY["survey"])


@pytest.mark.parametrize("case", DELIVERY["cases"], ids=lambda case: case["title"])
def test_batches_are_sent_as_published(case: dict[str, Any]) -> None:
    """At every tick: the bodies that are sent, the batches that are left, and how many reports were lost."""
    words = ScriptedWords(case["words"])
    ticks = [(step["at"], [one["answer"] for one in step["exchanges"]]) for step in case["ticks"]]
    assert play_delivery(SURVEY, words, case["outbox"], ticks) == case["ticks"]
    assert words.left == []


def test_the_batches_belong_to_the_published_survey() -> None:
    assert SURVEY.digest == DELIVERY["digest"]


@pytest.mark.parametrize("case", DELIVERY["retry_after"], ids=lambda case: str(case["headers"]))
def test_a_retry_after_counts_as_published(case: dict[str, Any]) -> None:
    """A date without a Date header is compared with this machine's clock. The only such date is long past."""
    assert min(retry_after(case["headers"]) or 0.0, MAX_RETRY_AFTER) == case["seconds"]


@pytest.mark.parametrize("case", DEVICE["cases"], ids=lambda case: case["title"])
def test_a_device_sends_what_is_published(case: dict[str, Any]) -> None:
    """From events and random words to the bodies of all requests. All words are taken."""
    words = ScriptedWords(case["words"])
    survey = Survey.from_resolved(case["survey"])
    found = play_device(
        survey, case["cohort"], words, case["steps"], lambda step: [one["answer"] for one in step["tick"]]
    )
    assert found == case["steps"]
    assert words.left == []
