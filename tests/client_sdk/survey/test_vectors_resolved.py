"""The shipped code reads resolved surveys, and refuses invalid ones, as the vectors state."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hushtally import fetch_survey
from hushtally.client_sdk.canonical_json import canonical_json, sha256
from hushtally.client_sdk.delivery.transport import Response
from hushtally.client_sdk.errors import ClientError, RuleError, SurveyError
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.rules import Kind, Rule
from hushtally.client_sdk.survey.vocabulary import storable
from hushtally.client_sdk.testing import Recorder

VECTORS = Path(__file__).parents[2] / "vectors"
KINDS = {"number": Kind.NUMBER, "text": Kind.STRING, "truth": Kind.BOOLEAN}


def load(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))
    assert content["format"] == 1
    return content


RESOLVED, LIMITS = load("resolved"), load("limits")
SIGNALS = {name: KINDS[kind] for name, kind in load("rules")["signals"].items()}


@pytest.mark.parametrize("case", RESOLVED["canonical"], ids=lambda case: case["json"][:30])
def test_json_has_the_published_canonical_form(case: dict[str, Any]) -> None:
    value = json.loads(case["json"])
    assert canonical_json(value) == case["canonical"]
    assert sha256(value) == case["digest"]


@pytest.mark.parametrize("case", RESOLVED["invalid_canonical"], ids=lambda case: case["json"])
def test_json_without_a_canonical_form_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        sha256(json.loads(case["json"]))


@pytest.mark.parametrize("case", RESOLVED["cases"], ids=lambda case: case["digest"][:8])
def test_a_survey_is_resolved_as_published(case: dict[str, Any]) -> None:
    """Reading the resolved survey back gives an equal survey."""
    survey = Survey.parse(case["toml"])
    assert survey.resolved == case["resolved"]
    assert survey.digest == case["digest"]
    assert survey.lifetime_epsilon == case["lifetime_epsilon"]
    assert {question.id: list(question.segments) for question in survey.questions} == case["segments"]
    assert Survey.from_resolved(case["resolved"]) == survey


@pytest.mark.parametrize("case", RESOLVED["invalid"], ids=lambda case: case["title"])
def test_an_invalid_survey_is_refused_although_its_digest_is_pinned(case: dict[str, Any]) -> None:
    """Among others, a survey whose weights give a larger epsilon than it declares."""
    definition = case["resolved"]
    assert sha256(definition) == case["digest"]
    answer = Recorder(Response(200, json.dumps({"survey": definition, "digest": case["digest"]}).encode()))
    with pytest.raises(ClientError):
        fetch_survey(
            "https://tally.example", definition["id"], definition["version"], digest=case["digest"], transport=answer
        )


@pytest.mark.parametrize("case", RESOLVED["fetched"], ids=lambda case: case["title"])
def test_an_answer_is_used_or_refused_as_published(case: dict[str, Any]) -> None:
    def fetch() -> Survey:
        return fetch_survey(
            "https://tally.example",
            case["id"],
            case["version"],
            digest=case["pinned"],
            max_epsilon=case["max_epsilon"],
            max_lifetime_epsilon=case["max_lifetime_epsilon"],
            transport=Recorder(Response(200, case["body"].encode())),
        )

    if case["accepted"]:
        assert fetch().resolved == json.loads(case["body"])["survey"]
    else:
        with pytest.raises(ClientError):
            fetch()


def edited(value: Any, place: list[Any], new: Any) -> Any:
    """A copy with another value at a place."""
    if not place:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[place[0]] = edited(copy.get(place[0]) if isinstance(copy, dict) else copy[place[0]], place[1:], new)
    return copy


@pytest.mark.parametrize("case", LIMITS["fields"], ids=lambda case: "-".join(map(str, case["at"])))
def test_a_survey_has_the_published_limits(case: dict[str, Any]) -> None:
    base = LIMITS["surveys"][case["survey"]]
    accepted = edited(base, case["at"], case["accepted"])
    assert sha256(Survey.from_resolved(accepted).resolved) == sha256(accepted)
    with pytest.raises(SurveyError):
        Survey.from_resolved(edited(base, case["at"], case["refused"]))


@pytest.mark.parametrize("case", LIMITS["rules"], ids=lambda case: case["refused"][:30])
def test_a_rule_has_the_published_limits(case: dict[str, Any]) -> None:
    assert Rule.parse(case["accepted"], SIGNALS, KINDS[case["yields"]])
    with pytest.raises(RuleError):
        Rule.parse(case["refused"], SIGNALS, KINDS[case["yields"]])


@pytest.mark.parametrize("case", LIMITS["recorded"], ids=lambda case: str(case["refused"])[:20])
def test_a_recorded_value_has_the_published_limits(case: dict[str, Any]) -> None:
    assert storable(case["accepted"]) == case["accepted"]
    assert storable(case["refused"]) is None
