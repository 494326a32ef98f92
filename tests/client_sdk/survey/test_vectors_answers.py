"""The shipped code reproduces the vectors of signals, rules and answers, whose expected values are written by hand."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hushtally.client_sdk.errors import RuleError
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.rules import Kind, Rule
from hushtally.client_sdk.survey.signals import Event, Function, Signal
from hushtally.client_sdk.survey.vocabulary import EventVocabulary, storable

VECTORS = Path(__file__).parents[2] / "vectors"
KINDS = {"number": Kind.NUMBER, "text": Kind.STRING, "truth": Kind.BOOLEAN}


def load(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))
    assert content["format"] == 1
    return content


RULES = load("rules")
ANSWERS = load("answers")
SIGNALS = {name: KINDS[kind] for name, kind in RULES["signals"].items()}


def number(value: Any) -> Any:
    """A value of a vector. JSON cannot express infinity, so the vectors contain a string."""
    return float(value) if value in ("infinity", "-infinity") else value


def events_of(rows: list[Any]) -> list[Event]:
    return [Event(name, date.fromisoformat(day), fields) for day, name, fields in rows]


def test_the_generator_writes_the_published_files(tmp_path: Path) -> None:
    """All files are equal, byte by byte, so that other clients read the cases of the generator."""
    subprocess.run([sys.executable, VECTORS / "generate.py", tmp_path], check=True)
    published = sorted(VECTORS.glob("*.json"))
    assert [path.name for path in published] == sorted(path.name for path in tmp_path.iterdir())
    for path in published:
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name


RECORDED = [
    pytest.param(case, field, id=f"{key}-{case['value']!r:.40}")
    for key, field in (("recorded", "category"), ("recorded_to_sum", "amount"))
    for case in load("signals")[key]
]


@pytest.mark.parametrize(("case", "field"), RECORDED)
def test_a_recorded_value_is_stored_as_published(case: dict[str, Any], field: str) -> None:
    """A decimal of the vector is recorded as a Decimal, and also as a double."""
    vocabulary = EventVocabulary([Survey.parse(ANSWERS["toml"])])
    value, expected = case["value"], case["kept"]
    decimal = isinstance(value, dict) and value.get("decimal")
    for recorded in (Decimal(decimal), float(decimal)) if decimal else (value,):
        assert (vocabulary.value("purchase", field, recorded)[0] is None) is (expected is None)
        if expected is not None:
            assert storable(recorded) == expected
            assert type(storable(recorded)) in (type(expected), float)


@pytest.mark.parametrize("case", load("signals")["cases"], ids=lambda case: "-".join(map(str, case["signal"].values())))
def test_a_signal_has_the_published_value(case: dict[str, Any]) -> None:
    (function, source), (_, days) = case["signal"].items()
    event, _, field = source.partition(".")
    signal = Signal(Function(function), event, field or None, days)
    found = signal.value(events_of(case["events"]), date.fromisoformat(case["today"]))
    assert found == number(case["value"])
    assert isinstance(found, str | None) == (function == "top")


def signals_of(case: dict[str, Any]) -> dict[str, Any]:
    return {name: number(value) for name, value in case["signals"].items()}


@pytest.mark.parametrize("case", RULES["conditions"], ids=lambda case: case["rule"])
def test_a_condition_holds_as_published(case: dict[str, Any]) -> None:
    assert Rule.parse(case["rule"], SIGNALS, Kind.BOOLEAN).holds(signals_of(case)) is case["holds"]


@pytest.mark.parametrize("case", RULES["numbers"], ids=lambda case: case["rule"])
def test_a_rule_has_the_published_number(case: dict[str, Any]) -> None:
    assert Rule.parse(case["rule"], SIGNALS, Kind.NUMBER).number(signals_of(case)) == number(case["number"])


@pytest.mark.parametrize("case", RULES["invalid"], ids=lambda case: case["rule"][:40])
def test_an_invalid_rule_is_refused(case: dict[str, Any]) -> None:
    """Refusing is the contract. The message may differ from the published one; test_rules.py asserts the messages."""
    with pytest.raises(RuleError, match=r"^.+$"):
        Rule.parse(case["rule"], SIGNALS, KINDS[case["yields"]])


def test_the_published_rules_cover_the_language() -> None:
    """Every operator and every function occurs in a rule that holds or has a number."""
    successful = [case["rule"] for case in RULES["conditions"] if case["holds"]]
    successful += [case["rule"] for case in RULES["numbers"] if case["number"] is not None]
    nodes = [node for rule in successful for node in ast.walk(ast.parse(rule.strip(), mode="eval"))]
    arithmetic = {ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.USub}
    comparisons = {ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn}
    assert {type(node) for node in nodes} >= arithmetic | comparisons | {ast.And, ast.Or, ast.Not}
    assert {node.id for node in nodes if isinstance(node, ast.Name)} == {"abs", "len", "min", "max", *SIGNALS}


@pytest.mark.parametrize("case", ANSWERS["cases"], ids=lambda case: str(len(case["events"])))
def test_events_result_in_the_published_answers(case: dict[str, Any]) -> None:
    """The signals and the index of every question's segment are the published ones."""
    survey = Survey.parse(ANSWERS["toml"])
    events, today = events_of(case["events"]), date.fromisoformat(case["today"])
    signals = {name: signal.value(events, today) for name, signal in survey.signals.items()}
    assert signals == signals_of(case)
    assert {question.id: question.form.value(signals) for question in survey.questions} == case["answers"]


def test_segments_have_the_published_names_and_order() -> None:
    """Every segment, except those of crosses, is the answer in some case."""
    survey = Survey.parse(ANSWERS["toml"])
    assert {question.id: list(question.segments) for question in survey.questions} == ANSWERS["segments"]
    for question in survey.questions:
        seen = {case["answers"][question.id] for case in ANSWERS["cases"]}
        assert "cross" in question.form.definition or seen == set(range(len(question.segments)))
