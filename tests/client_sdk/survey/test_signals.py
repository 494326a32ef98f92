import math
import random
from datetime import date, timedelta

import pytest

from hushtally.client_sdk.survey.rules import Kind
from hushtally.client_sdk.survey.signals import Event, Function, Signal

TODAY = date(2026, 11, 2)
EMPTY = {"count": 0, "sum": 0.0, "days_since": math.inf, "top": None, "distinct": 0}


def ago(days, name="purchase", **fields):
    return Event(name, TODAY - timedelta(days=days), fields)


def signal(function, days=30):
    needs = Function(function).needs_field
    return Signal(Function(function), "purchase", "item" if needs else None, days)


@pytest.mark.parametrize(
    ("function", "events", "value"),
    [
        *((function, [], empty) for function, empty in EMPTY.items()),
        *((function, [ago(0, "visit", item=1)], empty) for function, empty in EMPTY.items()),
        *((function, [ago(30, item="a")], empty) for function, empty in EMPTY.items()),
        *((function, [ago(-1, item="a")], empty) for function, empty in EMPTY.items()),
        ("count", [ago(0), ago(29), ago(29, item=1), ago(30), ago(-1)], 3),
        ("sum", [ago(0, item=1.5), ago(29, item=2), ago(30, item=4), ago(-1, item=8)], 3.5),
        ("sum", [ago(0), ago(1, item="12"), ago(2, item=3), ago(3, other=5)], 3.0),
        ("sum", [ago(day % 30, item=0.1) for day in range(10)], 1.0),
        ("sum", [ago(0, item=1e12), ago(0, item=1e-4), ago(0, item=-1e12)], 1e-4),
        ("days_since", [ago(5), ago(3), ago(9)], 3),
        ("days_since", [ago(0)], 0),
        ("days_since", [ago(29)], 29),
        ("days_since", [ago(-3), ago(4)], 4),
        ("top", [ago(0, item="a"), ago(1, item="b"), ago(2, item="b")], "b"),
        ("top", [ago(9, item="a"), ago(5, item="b"), ago(3, item="a"), ago(1, item="b")], "b"),
        ("top", [ago(9, item="b"), ago(5, item="a"), ago(3, item="b"), ago(1, item="a")], "a"),
        ("top", [ago(0, item="a"), ago(0, item="b"), ago(0, item="c")], "c"),
        ("top", [ago(0, item="a"), ago(0)], "a"),
        ("top", [ago(0, item=7), ago(0, item="8"), ago(0, item=7)], "7"),
        ("top", [ago(29, item="a"), ago(30, item="b"), ago(31, item="b"), ago(-1, item="b")], "a"),
        ("top", [ago(0, item="")], ""),
        ("distinct", [ago(0, item="a"), ago(0, item="a"), ago(29, item="b"), ago(30, item="c"), ago(-1, item="d")], 2),
        ("distinct", [ago(0), ago(0, item=1), ago(0, item="1"), ago(0, item=2)], 2),
        ("distinct", [ago(0, item=7), ago(0, item=7.0), ago(0, item="7"), ago(0, item=0.3), ago(0, item=0.1 + 0.2)], 2),
        ("distinct", [ago(0, item=0), ago(0, item=-0.0), ago(0, item=1e12), ago(0, item=10**12)], 2),
        ("top", [ago(1, item=7.0), ago(0, item=7), ago(0, item="8")], "7"),
        ("top", [ago(0, item=24.90)], "24.9"),
        ("top", [ago(0, item=-0.0)], "0"),
        ("top", [ago(0, item=10**12)], "1000000000000"),
        ("top", [ago(0, item="7.0")], "7.0"),
    ],
)  # fmt: skip
def test_each_function_covers_its_window(function, events, value):
    """The window begins `days` - 1 days ago and ends today. Earlier and later days, and other events, do not count."""
    assert signal(function).value(events, TODAY) == value


@pytest.mark.parametrize("function", list(Function))
def test_a_window_of_one_day_is_today(function):
    one = signal(function, 1)
    assert one.value([ago(1, item=1)], TODAY) == EMPTY[function]
    assert one.value([ago(0, item=1)], TODAY) != EMPTY[function]


def test_only_a_tie_of_top_depends_on_the_order_of_recording():
    """A sum is exact, so its rounding does not depend on the order, either."""
    source = random.Random(11)
    events = [ago(source.randrange(40), item=source.uniform(-1, 1) * 10 ** source.randint(-9, 9)) for _ in range(200)]
    for function in ("count", "sum", "days_since", "distinct"):
        values = {signal(function).value(source.sample(events, len(events)), TODAY) for _ in range(20)}
        assert len(values) == 1


@pytest.mark.parametrize(
    ("function", "source", "kind"),
    [
        ("count", "purchase", Kind.NUMBER),
        ("sum", "purchase.item", Kind.NUMBER),
        ("days_since", "purchase", Kind.NUMBER),
        ("top", "purchase.item", Kind.STRING),
        ("distinct", "purchase.item", Kind.NUMBER),
    ],
)
def test_a_signal_states_its_source_and_kind(function, source, kind):
    """The source is written as in the survey, and only top gives a string."""
    assert signal(function).source == source
    assert signal(function).kind is kind


def test_an_event_hides_its_values():
    """repr cannot leak into a log what a customer did."""
    assert repr(ago(0, item="secret")) == str(ago(0, item="secret")) == "Event(hidden)"
