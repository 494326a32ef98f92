"""Ranges of a number question: which stay empty, and which are easily misread."""

import math
from itertools import product
from random import Random

import pytest

from hushtally.client_sdk.explain.ranges import misread_range, unreachable_ranges
from hushtally.client_sdk.survey.questions import Scale
from hushtally.client_sdk.survey.rules import Kind, Rule
from hushtally.client_sdk.survey.signals import Function, Signal

SIGNALS = {
    "count": Signal(Function.COUNT, "visit", None, 30),
    "kinds": Signal(Function.DISTINCT, "visit", "place", 30),
    "days": Signal(Function.DAYS_SINCE, "visit", None, 30),
    "sum": Signal(Function.SUM, "visit", "cost", 30),
    "top": Signal(Function.TOP, "visit", "place", 30),
}
KINDS = {name: signal.kind for name, signal in SIGNALS.items()}


def scale(number, *edges):
    return Scale(Rule.parse(number, KINDS, Kind.NUMBER), edges, "other")


@pytest.mark.parametrize(
    ("number", "edges", "empty"),
    [
        ("count", (0,), ["other"]),
        ("count", (0, 2, 5), ["other"]),
        ("count", (1, 2, 5), []),
        ("count", (0.5, 0.75, 2), ["0.5-0.75"]),
        ("count", (-5, 0, 5), ["-5-0", "other"]),
        ("kinds", (-1, 3), ["other"]),
        ("days", (0, 10, 40, 50), ["40-50", "other"]),  # 0 to 29 days, or infinity in "50+"
        ("days", (1, 29, 30), []),
        ("sum", (0, 20), []),  # negative after a refund
        ("count / 3", (0, 1), ["other"]),
        ("count / 3 + 2", (0, 1, 2, 3), ["0-1", "1-2", "other"]),
        ("2 * count + kinds * 0.5", (0, 1), ["other"]),
        ("7", (0, 5, 9), ["0-5", "other"]),
        # the number can be missing, or its smallest value is unknown
        ("sum / count", (0, 20), []),
        ("count / days", (0, 20), []),
        ("count * -1", (0, 20), []),
        ("sum + count", (0, 20), []),
        ("count - 3", (0, 20), []),
        ("max([count, 3])", (0, 20), []),
        ("len(top)", (0, 20), []),
    ],
)
def test_ranges_that_no_customer_can_be_in(number, edges, empty):
    assert unreachable_ranges(scale(number, *edges), SIGNALS) == empty


def test_of_a_single_signal_exactly_the_empty_ranges_are_found():
    """For 500 drawn edges, compared with every possible value."""
    draw = Random(2026)
    for _ in range(500):
        edges = tuple(
            sorted(draw.sample([-3, -0.5, 0, 0.5, 1, 1.5, 2, 5, 8, 28.5, 29, 30, 31, 60], draw.randint(1, 5)))
        )
        name = draw.choice(["count", "days"])
        form = scale(name, *edges)
        values = range(100) if name == "count" else (*range(30), math.inf)
        reached = {form.segments[form.value({name: value})] for value in values}
        assert set(unreachable_ranges(form, SIGNALS)) == set(form.segments) - reached, form


def test_of_an_expression_no_range_is_found_that_a_value_reaches():
    """For 500 drawn expressions, evaluated as on a device; at least a third has an empty range that is found."""
    draw = Random(2026)
    found = 0

    def expression(depth):
        if depth == 0:
            return draw.choice(["count", "kinds", "days", "sum", "2", "0.5"])
        inner, other = expression(depth - 1), expression(depth - 1)
        return draw.choice([f"({inner} + {other})", f"3 * ({inner})", f"({inner}) * 0.25", f"({inner}) / 4"])

    for _ in range(500):
        form = scale(expression(draw.randint(1, 3)), *sorted(draw.sample([-2, 0, 1, 2, 3, 7], 3)))
        empty = unreachable_ranges(form, SIGNALS)
        found += bool(empty)
        for count, kinds, days, total in product((0, 1, 5), (0, 1), (0, 29, math.inf), (-9.5, 0.0, 7.0)):
            given = {"count": count, "kinds": kinds, "days": days, "sum": total}
            assert form.segments[form.value(given)] not in empty, (form, given)
    assert found > 166


@pytest.mark.parametrize(
    ("number", "edges", "misread"),
    [
        ("count", (1, 2, 4), ("1-2", "1")),
        ("count", (2, 4), ("2-4", "2 and 3")),
        ("count", (2, 10), ("2-10", "2 to 9")),
        ("count", (0.5, 1.5, 4), ("1.5-4", "2 and 3")),
        ("kinds + count // 2", (1, 5), ("1-5", "1 to 4")),
        ("max([count, 1]) - abs(kinds) % 3", (1, 5), ("1-5", "1 to 4")),
        ("len(top)", (1, 5), ("1-5", "1 to 4")),
        ("-count", (-5, -1), ("-5--1", "-5 to -2")),
        ("days", (0, 30, 60), ("0-30", "0 to 29")),
        ("days", (40, 50, 60), None),  # no customer can be in these ranges: that is said instead
        ("count", (5,), None),
        ("count", (0.5, 1.5, 2.5), None),
        ("count / 2", (1, 2), None),
        ("count * 0.5", (1, 2), None),
        ("sum", (0, 20), None),
        ("sum + count", (0, 20), None),
    ],
)
def test_ranges_of_whole_numbers_that_seem_to_include_their_upper_edge(number, edges, misread):
    assert misread_range(scale(number, *edges), SIGNALS) == misread
