"""The JSON Schema of resolved surveys accepts every survey that is shipped, and refuses changed ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.rules import RESERVED
from hushtally.simulations.demo.survey import write_survey

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "docs" / "reference" / "resolved.schema.json").read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)


def load(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((ROOT / "tests" / "vectors" / f"{name}.json").read_text(encoding="utf-8"))
    return content


RESOLVED, LIMITS = load("resolved"), load("limits")
SURVEYS = [case["resolved"] for case in RESOLVED["cases"]]


def test_the_schema_is_valid() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_the_schema_accepts_the_shipped_survey_files(tmp_path: Path) -> None:
    """The templates of `survey new`, and the survey of the demo."""
    demo = write_survey(tmp_path / "demo.toml", 1.0, date(2026, 11, 24))
    templates = [Survey.load(path) for path in (ROOT / "hushtally" / "survey" / "templates").glob("*.toml")]
    assert len(templates) == 4
    for survey in (*templates, demo):
        VALIDATOR.validate(json.loads(json.dumps(survey.resolved)))


def test_the_schema_accepts_the_surveys_of_all_vectors() -> None:
    shown = [*SURVEYS, *LIMITS["surveys"], load("delivery")["survey"]]
    shown += [case["survey"] for case in load("device")["cases"]]
    shown += [json.loads(case["canonical"]) for case in load("survey")["cases"]]
    for survey in shown:
        VALIDATOR.validate(survey)
    assert len(shown) > 50


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all values inside a value."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*place, key)
        yield from places(value[key], (*place, key))


def holder(survey: Any, place: tuple[Any, ...]) -> Any:
    """The table or list that contains a place."""
    for key in place[:-1]:
        survey = survey[key]
    return survey


FREE = ("cohorts", "signals")  # tables whose keys the survey chooses
OPTIONAL = {"title", "when"}  # a question may have a title, and a segment a rule


@pytest.mark.parametrize("number", range(5))
def test_the_schema_refuses_a_survey_with_a_missing_or_an_unknown_field(number: int) -> None:
    """In every table of the survey."""
    for place in places(SURVEYS[number]):
        changed = deepcopy(SURVEYS[number])
        table = holder(changed, place)
        if isinstance(table, dict) and place[:-1] not in [(name,) for name in FREE]:
            if len(place) == 1 or place[-1] not in OPTIONAL:
                del table[place[-1]]
                assert not VALIDATOR.is_valid(changed), f"{place} is missing"
            changed = deepcopy(SURVEYS[number])
            holder(changed, place)["salt"] = 1
            assert not VALIDATOR.is_valid(changed), f"salt beside {place}"


@pytest.mark.parametrize("number", range(5))
def test_the_schema_refuses_a_value_of_another_type(number: int) -> None:
    """Null, everywhere; and a string with a line break for every string."""
    for place in places(SURVEYS[number]):
        changed = deepcopy(SURVEYS[number])
        table = holder(changed, place)
        wrong = [None, {"a": 1}] if not isinstance(table[place[-1]], str) else [None, "", 7]
        for value in wrong:
            table[place[-1]] = value
            assert not VALIDATOR.is_valid(changed), (place, value)


# What a schema cannot express: relations between fields, rules, and the integers that follow from epsilon.
BEYOND_THE_SCHEMA = {
    "the weights give epsilon 11.5, and the survey declares 1.1", "near is larger by one", "near is smaller by one",
    "the same odds in lower terms", "another epsilon than that of the weights",
    "weights of the survey's epsilon, not of the question's", "another number of symbols", "truth of sue",
    "others of oue", "weights of permanent memory", "coins of permanent memory", "other coins of permanent memory",
    "gamma is 1", "gamma is larger by one", "a coin of rappor", "a permanent coin of rappor",
    "parameters of rappor that exceed epsilon", "w is not below the number of segments", "r is not a prime",
    "a title with an invisible character", "starts within an epoch", "ends within an epoch", "ends before starts",
    "a day that does not exist", "more than 366 days", "more questions per device than are asked",
    "epsilon_permanent below epsilon", "epsilon_permanent of a question below its epsilon",
    "65 combinations of cohorts", "two questions with one id", "a question twice", "a rule with an unknown signal",
    "a rule with a name that objects have", "a rule with a syntax error", "a condition that is a number",
    "a number that is a condition", "a segment id twice", "no last segment",
    "a segment without a rule before the last", "one_of a number", "one_of an unknown signal", "the category other",
    "edges that descend", "edges with one name", "otherwise with the name of a segment",
    "a cross of an unknown question", "a cross of a cross", "a cross of another cross", "a cross with two equal names",
    "only_crossed, but nothing crosses it",
}  # fmt: skip


@pytest.mark.parametrize("case", RESOLVED["invalid"], ids=lambda case: case["title"])
def test_the_schema_refuses_an_invalid_survey_unless_it_cannot_express_the_mistake(case: dict[str, Any]) -> None:
    assert VALIDATOR.is_valid(case["resolved"]) is (case["title"] in BEYOND_THE_SCHEMA)


def test_the_schema_knows_the_reserved_names() -> None:
    names = SCHEMA["properties"]["signals"]["propertyNames"]["not"]["enum"]
    assert set(names) == RESERVED
