"""Segments by rules that no customer can be in: those that are certain, and no others."""

import math
from random import Random

import pytest

from hushtally.client_sdk.explain.reachability import NEVER_TRUE, TAKEN_BEFORE, unreachable_segments
from hushtally.client_sdk.survey.questions import Conditions
from hushtally.client_sdk.survey.rules import Kind, Rule
from hushtally.client_sdk.survey.signals import Function, Signal

SIGNALS = {
    "count": Signal(Function.COUNT, "visit", None, 365),
    "days": Signal(Function.DAYS_SINCE, "visit", None, 365),
    "sum": Signal(Function.SUM, "visit", "cost", 365),
    "top": Signal(Function.TOP, "visit", "place", 365),
}
KINDS = {name: signal.kind for name, signal in SIGNALS.items()}


@pytest.mark.parametrize(
    ("conditions", "empty"),
    [
        (["count == 0", "count == 1", "2 <= count <= 4"], {}),
        (["count < 0"], {"s0": NEVER_TRUE}),
        (["count < 0.5", "0 < count < 1"], {"s1": NEVER_TRUE}),
        (["1 < count < 2", "3 < count < 5"], {"s0": NEVER_TRUE}),
        (["count <= 4", "count == 3", "count > 9"], {"s1": TAKEN_BEFORE}),
        (["count == 0", "count >= 1"], {"rest": TAKEN_BEFORE}),
        (["not count == 0", "count < 1"], {"rest": TAKEN_BEFORE}),
        (["True", "count == 1"], {"s1": TAKEN_BEFORE, "rest": TAKEN_BEFORE}),
        (["1 > 2"], {"s0": NEVER_TRUE}),
        (["count in [0, 1, 2]", "count == 2", "count not in [3, -1]"], {"s1": TAKEN_BEFORE}),
        (["days < 30", "days < 365"], {}),  # infinity without an event
        (["days < 30", "days < 365", "days > 1000"], {"rest": TAKEN_BEFORE}),
        (["days == 365", "365 <= days < 1e9"], {"s0": NEVER_TRUE, "s1": NEVER_TRUE}),
        (["sum < 0", "sum > 0"], {}),
        (["sum < 0.3", "0.3 <= sum", "sum == 7"], {"s2": TAKEN_BEFORE, "rest": TAKEN_BEFORE}),
        (["sum < 0", "0 < sum < 1", "sum > 1", "sum == 0"], {}),
        (["top == 'a'", "top != 'a'"], {"rest": TAKEN_BEFORE}),
        (["top in ['a', 'b']", "top == 'b'", "top not in ['a', 'c']"], {"s1": TAKEN_BEFORE}),
        (["top == 'a' and top == 'b'"], {"s0": NEVER_TRUE}),
        (["count > 1 and days < 9", "count > 1", "count <= 1"], {"rest": TAKEN_BEFORE}),
        (["count > 1 or days < 9", "count <= 1 and days >= 9"], {"rest": TAKEN_BEFORE}),
        # an undecidable rule is not reported, and does not keep others from being reported
        (["sum / count < 0", "sum / count > 0", "count > days", "len(top) < 0"], {}),
        (
            ["sum / count < 1", "count < 0", "count >= 0", "sum / count < 2"],
            {"s1": NEVER_TRUE, "s3": TAKEN_BEFORE, "rest": TAKEN_BEFORE},
        ),
        (["count == 0", "count >= 1 and sum / count > 2"], {}),
    ],
)
def test_exactly_the_segments_that_no_customer_can_be_in_are_found(conditions, empty):
    """This is decided for rules that compare single signals with constants."""
    rules = tuple((f"s{index}", Rule.parse(one, KINDS, Kind.BOOLEAN)) for index, one in enumerate(conditions))
    assert unreachable_segments(Conditions(rules, "rest"), SIGNALS) == empty


@pytest.mark.slow
def test_the_found_segments_are_those_that_no_value_reaches():
    """For 2,000 drawn questions about days since a visit, compared with every possible number of days."""
    draw = Random(2026)
    signal = Signal(Function.DAYS_SINCE, "visit", None, 9)

    def comparison():
        constant, other = (draw.choice([-1, 0, 1, 2, 2.5, 4, 7, 8, 9]) for _ in range(2))
        sign = draw.choice(["==", "!=", "<", "<=", ">", ">="])
        return draw.choice([f"days {sign} {constant}", f"{other} {sign} days <= {constant}", f"days in [{other}, 3]"])

    def rule():
        text = f" {draw.choice(['and', 'or'])} ".join(comparison() for _ in range(draw.randint(1, 2)))
        return Rule.parse(draw.choice(["", "not "]) + f"({text})", {"days": Kind.NUMBER}, Kind.BOOLEAN)

    empty = 0
    for _ in range(2_000):
        form = Conditions(tuple((f"s{index}", rule()) for index in range(draw.randint(1, 4))), "rest")
        reached = {form.segments[form.value({"days": days})] for days in (*range(9), math.inf)}
        assert unreachable_segments(form, {"days": signal}).keys() == set(form.segments) - reached, form
        empty += len(form.segments) - len(reached)
    assert empty > 1_000
