"""The vectors of signals, rules and answers: expected by hand, read back with the code that ships."""

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
KINDS = {"number": Kind.NUMBER, "text": Kind.TEXT, "truth": Kind.TRUTH}


def load(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))
    assert content["format"] == 1
    return content


RULES = load("rules")
ANSWERS = load("answers")
SIGNALS = {name: KINDS[kind] for name, kind in RULES["signals"].items()}


def told(value: Any) -> Any:
    """A value as a vector states it: JSON has no infinity."""
    return float(value) if value in ("infinity", "-infinity") else value


def read(events: list[Any]) -> list[Event]:
    return [Event(name, date.fromisoformat(day), fields) for day, name, fields in events]


def test_the_generator_writes_what_is_published(tmp_path: Path) -> None:
    """All files, byte by byte: what is written by hand there is what other clients read."""
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
def test_recorded(case: dict[str, Any], field: str) -> None:
    """What is kept of a field's value; a decimal of the vector is recorded as a Decimal, and as a double."""
    named = EventVocabulary([Survey.parse(ANSWERS["toml"])])
    value, expected = case["value"], case["kept"]
    decimal = isinstance(value, dict) and value.get("decimal")
    for one in (Decimal(decimal), float(decimal)) if decimal else (value,):
        assert (named.value("purchase", field, one)[0] is None) is (expected is None)
        if expected is not None:
            assert storable(one) == expected
            assert type(storable(one)) in (type(expected), float)


@pytest.mark.parametrize("case", load("signals")["cases"], ids=lambda case: "-".join(map(str, case["signal"].values())))
def test_signal(case: dict[str, Any]) -> None:
    (function, source), (_, days) = case["signal"].items()
    event, _, field = source.partition(".")
    signal = Signal(Function(function), event, field or None, days)
    found = signal.value(read(case["events"]), date.fromisoformat(case["today"]))
    assert found == told(case["value"])
    assert isinstance(found, str | None) == (function == "top")


def given(case: dict[str, Any]) -> dict[str, Any]:
    return {name: told(value) for name, value in case["signals"].items()}


@pytest.mark.parametrize("case", RULES["conditions"], ids=lambda case: case["rule"])
def test_condition(case: dict[str, Any]) -> None:
    assert Rule.parse(case["rule"], SIGNALS, Kind.TRUTH).holds(given(case)) is case["holds"]


@pytest.mark.parametrize("case", RULES["numbers"], ids=lambda case: case["rule"])
def test_number(case: dict[str, Any]) -> None:
    assert Rule.parse(case["rule"], SIGNALS, Kind.NUMBER).number(given(case)) == told(case["number"])


@pytest.mark.parametrize("case", RULES["invalid"], ids=lambda case: case["rule"][:40])
def test_refused_rule(case: dict[str, Any]) -> None:
    """Refusing is the contract, the text is ours."""
    with pytest.raises(RuleError) as caught:
        Rule.parse(case["rule"], SIGNALS, KINDS[case["yields"]])
    assert str(caught.value) == case["error"]


def test_the_rules_cover_the_language() -> None:
    """Every operator and every call stands in a rule that holds or yields a number."""
    sound = [case["rule"] for case in RULES["conditions"] if case["holds"]]
    sound += [case["rule"] for case in RULES["numbers"] if case["number"] is not None]
    nodes = [node for rule in sound for node in ast.walk(ast.parse(rule, mode="eval"))]
    arithmetic = {ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.USub}
    comparisons = {ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn}
    assert {type(node) for node in nodes} >= arithmetic | comparisons | {ast.And, ast.Or, ast.Not}
    assert {node.id for node in nodes if isinstance(node, ast.Name)} == {"abs", "len", "min", "max", *SIGNALS}


@pytest.mark.parametrize("case", ANSWERS["cases"], ids=lambda case: str(len(case["events"])))
def test_answer(case: dict[str, Any]) -> None:
    """From events to the index of the segment of every question, by way of the signals."""
    survey = Survey.parse(ANSWERS["toml"])
    events, today = read(case["events"]), date.fromisoformat(case["today"])
    signals = {name: signal.value(events, today) for name, signal in survey.signals.items()}
    assert signals == given(case)
    assert {one.id: one.form.value(signals) for one in survey.questions} == case["answers"]


def test_segments() -> None:
    """The names of the segments, in the order of the domain; every segment that is no cross is somebody's answer."""
    survey = Survey.parse(ANSWERS["toml"])
    assert {one.id: list(one.segments) for one in survey.questions} == ANSWERS["segments"]
    for question in survey.questions:
        seen = {case["answers"][question.id] for case in ANSWERS["cases"]}
        assert "cross" in question.form.definition or seen == set(range(len(question.segments)))
