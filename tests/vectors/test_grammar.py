"""The second client computes the published signals, rules and answers."""

from __future__ import annotations

import tomllib
from random import Random
from typing import Any

import pytest
from published import load, number, signal_values
from reference_client import rules
from reference_client.arithmetic import EQUALITY, ORDER, PRODUCTS, SUMS
from reference_client.questions import Questions
from reference_client.recorded import stored
from reference_client.signals import signal
from reference_client.tokens import InvalidRule

from hushtally.client_sdk.errors import RuleError
from hushtally.client_sdk.survey.rules import Kind, Rule

SIGNALS, RULES, ANSWERS = map(load, ("signals", "rules", "answers"))
RECORDED = [
    pytest.param(case, key == "recorded_to_sum", id=f"{key}-{case['value']!r:.40}")
    for key in ("recorded", "recorded_to_sum")
    for case in SIGNALS[key]
]


@pytest.mark.parametrize(("case", "summed"), RECORDED)
def test_a_recorded_value_is_stored_or_dropped(case: dict[str, Any], summed: bool) -> None:
    assert stored(case["value"], summed) == case["kept"]


@pytest.mark.parametrize("case", SIGNALS["cases"], ids=lambda case: "-".join(map(str, case["signal"].values())))
def test_a_signal_has_the_published_value(case: dict[str, Any]) -> None:
    assert signal(case["signal"], case["today"], case["events"]) == number(case["value"])


@pytest.mark.parametrize("case", RULES["conditions"], ids=lambda case: case["rule"])
def test_a_condition_holds_as_published(case: dict[str, Any]) -> None:
    assert rules.holds(case["rule"], signal_values(case), RULES["signals"]) is case["holds"]


@pytest.mark.parametrize("case", RULES["numbers"], ids=lambda case: case["rule"])
def test_a_rule_has_the_published_number(case: dict[str, Any]) -> None:
    assert rules.number(case["rule"], signal_values(case), RULES["signals"]) == number(case["number"])


@pytest.mark.parametrize("case", RULES["invalid"], ids=lambda case: case["rule"][:40])
def test_an_invalid_rule_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(InvalidRule):
        rules.Parser(case["rule"], RULES["signals"]).read(case["yields"])


@pytest.mark.parametrize("case", ANSWERS["cases"], ids=lambda case: str(len(case["events"])))
def test_events_result_in_the_published_answers(case: dict[str, Any]) -> None:
    survey = tomllib.loads(ANSWERS["toml"])
    signals = {name: signal(stated, case["today"], case["events"]) for name, stated in survey["signals"].items()}
    assert signals == signal_values(case)
    questions = Questions(survey)
    assert {id: questions.answer(id, signals) for id in questions.by_id} == case["answers"]
    assert {id: questions.segments(id) for id in questions.by_id} == ANSWERS["segments"]


def composed_rules(source: Random) -> tuple[str, str]:
    """A number and a condition, composed at random from published rules."""
    conditions, numbers = ([case["rule"] for case in RULES[key]] for key in ("conditions", "numbers"))
    number = f"({source.choice(numbers)}) {source.choice([*SUMS, *PRODUCTS])} ({source.choice(numbers)})"
    comparison = f"{number} {source.choice([*EQUALITY, *ORDER])} {source.choice(numbers)}"
    word = source.choice(["and", "or"])
    return number, f"{source.choice(['', 'not '])}({source.choice(conditions)}) {word} {comparison}"


def test_both_clients_agree_on_random_rules() -> None:
    """Thousands of rules, with the signals of any vector: their results, and which rules are refused."""
    source = Random(1848)
    cases = [signal_values(case) for key in ("conditions", "numbers") for case in RULES[key]]
    kinds = {name: Kind.STRING if type == rules.STRING else Kind.NUMBER for name, type in RULES["signals"].items()}
    agreed = 0
    for _ in range(5000):
        number, condition = composed_rules(source)
        signals = dict.fromkeys(RULES["signals"]) | {"x": 1.0, "y": 0.5} | source.choice(cases)
        for text, type, kind in ((number, rules.NUMBER, Kind.NUMBER), (condition, rules.BOOLEAN, Kind.BOOLEAN)):
            try:
                rule = Rule.parse(text, kinds, kind)
            except RuleError:
                with pytest.raises(InvalidRule):
                    rules.Parser(text, RULES["signals"]).read(type)
                continue
            if type == rules.NUMBER:
                assert rules.number(text, signals, RULES["signals"]) == rule.number(signals), (text, signals)
            else:
                assert rules.holds(text, signals, RULES["signals"]) is rule.holds(signals), (text, signals)
            agreed += 1
    assert agreed > 9000


@pytest.mark.parametrize(
    "text",
    [
        f"x in [{','.join(['1'] * 147)}]",  # 150 parts: the comparison, x, the list and 147 constants
        f"x in [{','.join(['1'] * 148)}]",
        f"x in [{','.join(['-1'] * 73)}, 1]",  # a sign is a part
        f"x in [{','.join(['-1'] * 74)}]",
        f"max([{','.join('x' * 147)}]) == 1",
        f"max([{','.join('x' * 145)}]) == 1",
        f"{'-' * 18}x == 1",
        f"{'-' * 19}x == 1",
        f"{'+x' * 17}".lstrip("+") + " == 1",
        f"{'+x' * 20}".lstrip("+") + " == 1",
        f"{'(' * 40}x{')' * 40} == 1",
        "'a'== t",
        "t =='a'and x == 1",
        "t == 1'a'",
        "x == 1_000_0",
        "x == 1__0",
        "x == 1\t",
        "x == 1 ",
    ],
)
def test_both_clients_refuse_the_same_rules(text: str) -> None:
    """Limits on parts and levels, and rules of spelling, that the vectors do not cover."""
    try:
        Rule.parse(text, {"x": Kind.NUMBER, "t": Kind.STRING}, Kind.BOOLEAN)
    except RuleError:
        with pytest.raises(InvalidRule):
            rules.Parser(text, RULES["signals"]).read(rules.BOOLEAN)
    else:
        rules.Parser(text, RULES["signals"]).read(rules.BOOLEAN)
