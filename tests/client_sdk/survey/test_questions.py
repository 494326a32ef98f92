import math
from itertools import product

import pytest

from hushtally.client_sdk.mechanisms import build
from hushtally.client_sdk.survey.questions import Categories, Conditions, Cross, Question, Scale
from hushtally.client_sdk.survey.rules import Kind, Rule

SIGNALS = {"x": Kind.NUMBER, "n": Kind.NUMBER, "t": Kind.STRING}


def rule(source, kind=Kind.BOOLEAN):
    return Rule.parse(source, SIGNALS, kind)


CONDITIONS = Conditions((("none", rule("x == 0")), ("few", rule("x < 3")), ("odd", rule("x / n > 1"))), "rest")
CATEGORIES = Categories("t", ("books", "music"))
SCALE = Scale(rule("x / n", Kind.NUMBER), (0, 20, 50.5, 1_234_567), "none")


@pytest.mark.parametrize(
    ("signals", "segment"),
    [
        ({"x": 0, "n": 1}, "none"),
        ({"x": 2, "n": 1}, "few"),
        ({"x": 3, "n": 1}, "odd"),
        ({"x": 3, "n": 3}, "rest"),
        ({"x": 3, "n": 0}, "rest"),
        ({"x": -math.inf, "n": 0}, "few"),
        ({"x": math.nan, "n": 1}, "rest"),
        ({"x": None, "n": 1}, "rest"),
        ({}, "rest"),
    ],
)
def test_the_first_rule_that_holds_selects_the_segment_or_else_the_last_segment(signals, segment):
    """A rule that fails counts as false, so every customer is in a segment."""
    assert CONDITIONS.segments == ("none", "few", "odd", "rest")
    assert CONDITIONS.segments[CONDITIONS.value(signals)] == segment


@pytest.mark.parametrize(
    ("signals", "segment"),
    [
        ({"t": "books"}, "books"),
        ({"t": "music"}, "music"),
        ({"t": "Books"}, "other"),
        ({"t": "other"}, "other"),
        ({"t": ""}, "other"),
        ({"t": None}, "other"),
        ({"t": 0}, "other"),
        ({}, "other"),
    ],
)
def test_a_missing_or_undeclared_category_is_other(signals, segment):
    """Only exact matches of declared names are categories."""
    assert CATEGORIES.segments == ("books", "music", "other")
    assert CATEGORIES.segments[CATEGORIES.value(signals)] == segment


@pytest.mark.parametrize(
    ("x", "n", "segment"),
    [
        (0, 1, "0-20"),
        (-0.0, 1, "0-20"),
        (19.999, 1, "0-20"),
        (20, 1, "20-50.5"),
        (50.5, 1, "50.5-1234567"),
        (1_234_567, 1, "1234567+"),
        (math.inf, 1, "1234567+"),
        (10**300, 1, "1234567+"),
        (-1e-9, 1, "none"),
        (-math.inf, 1, "none"),
        (math.nan, 1, "none"),
        (math.inf, math.inf, "none"),
        (5, 0, "none"),
        (None, 1, "none"),
        ("5", 1, "none"),
        (10**400, 1, "none"),
    ],
)
def test_a_span_includes_its_lower_edge_and_the_last_span_includes_infinity(x, n, segment):
    """`otherwise` is the segment below all edges, for NaN, and for a failed rule."""
    assert SCALE.segments == ("0-20", "20-50.5", "50.5-1234567", "1234567+", "none")
    assert SCALE.segments[SCALE.value({"x": x, "n": n})] == segment


def test_the_names_of_segments_contain_every_digit_of_the_edges():
    edges = (-0.5, 0.1, 99_999.99, 1_000_000, 1_000_001, 10**15)
    assert Scale(rule("x", Kind.NUMBER), edges, "none").spans == (
        "-0.5-0.1", "0.1-99999.99", "99999.99-1000000", "1000000-1000001", "1000001-1e+15", "1e+15+",
    )  # fmt: skip


def test_a_cross_numbers_its_combinations_in_row_major_order():
    """The names of its segments are in the same order."""
    cross = Cross(("a", "b", "c"), (CONDITIONS, CATEGORIES, SCALE))
    combinations = list(product(CONDITIONS.segments, CATEGORIES.segments, SCALE.segments))
    assert cross.segments == tuple(" & ".join(parts) for parts in combinations)
    seen = set()
    for x, n, t in product([0, 2, 3, 60, 10**8, None, -5], [0, 0.5, 1, 30], ["books", "music", None]):
        signals = {"x": x, "n": n, "t": t}
        parts = tuple(form.segments[form.value(signals)] for form in cross.forms)
        assert combinations[cross.value(signals)] == parts
        seen.add(parts)
    assert len(seen) > 10


def test_every_form_states_its_definition():
    """The definition has the fields of the survey's table, with the last segment and `otherwise` filled in."""
    assert CONDITIONS.definition == {
        "segments": [
            {"id": "none", "when": "x == 0"},
            {"id": "few", "when": "x < 3"},
            {"id": "odd", "when": "x / n > 1"},
            {"id": "rest"},
        ]
    }
    assert CATEGORIES.definition == {"one_of": "t", "categories": ["books", "music"]}
    assert SCALE.definition == {"number": "x / n", "edges": [0, 20, 50.5, 1_234_567], "otherwise": "none"}
    assert Cross(("a", "b"), (CONDITIONS, CATEGORIES)).definition == {"cross": ["a", "b"]}


def test_a_resolved_question_contains_its_mechanism():
    """It also contains epsilon, only_crossed, and every integer that the mechanism samples with."""
    mechanism = build("direct", {}, 3, 1.0, 2.0)
    question = Question("q", CATEGORIES, mechanism, 1.0, 2.0, True)
    assert question.segments == CATEGORIES.segments
    resolved = question.resolved
    assert list(resolved) == ["id", "one_of", "categories", "epsilon", "epsilon_permanent", "only_crossed", "mechanism"]
    assert resolved["mechanism"]["name"] == "direct"
    assert "epsilon_permanent" not in Question("q", CATEGORIES, build("direct", {}, 3, 1.0), 1.0).resolved


@pytest.mark.parametrize(
    ("form", "names"),
    [
        (CONDITIONS, {"x", "n"}),
        (CATEGORIES, {"t"}),
        (SCALE, {"x", "n"}),
        (Scale(rule("len(t) + max([x, 1])", Kind.NUMBER), (0,), "none"), {"t", "x"}),
        (Cross(("a", "b"), (CONDITIONS, CATEGORIES)), {"x", "n", "t"}),
    ],
)
def test_a_form_states_the_signals_that_it_needs(form, names):
    """Exactly the signals that its value depends on. Functions are not signals."""
    assert form.needs == names


def test_a_mechanism_is_automatic_if_auto_would_choose_it():
    """The survey may state auto, or the name of the mechanism that auto chooses."""
    for name in ("auto", "direct", "oue"):
        question = Question("q", CATEGORIES, build(name, {}, 3, 1.0), 1.0)
        assert question.automatic is (name != "oue"), name
