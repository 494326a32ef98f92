"""Rules in words: every sign of the language of rules has one, and what has none stays as it is."""

import pytest

from hushtally.client_sdk.explain.wording import counted, in_words
from hushtally.client_sdk.survey.rules import Kind, Rule

SIGNALS = {"orders": Kind.NUMBER, "idle": Kind.NUMBER, "top": Kind.STRING}


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("orders == 0", "orders is 0"),
        ("orders != 0", "orders is not 0"),
        ("orders < 3", "orders under 3"),
        ("orders <= 3", "orders up to 3"),
        ("orders > 3", "orders over 3"),
        ("orders >= -3", "orders from -3"),
        ("3 < orders", "orders over 3"),
        ("3 >= orders", "orders up to 3"),
        ("0 == orders", "orders is 0"),
        ("2 <= orders <= 4", "orders from 2 to 4"),
        ("2 < orders <= 4", "orders over 2 and orders up to 4"),
        ("4 > orders > idle > 1", "orders under 4 and orders over idle and idle over 1"),
        ("top in ['a', 'b']", "top one of 'a', 'b'"),
        ("top not in ('a',)", "top none of 'a'"),
        ("orders in [1, 2]", "orders one of 1, 2"),
        ("orders < 3 and idle < 9", "orders under 3 and idle under 9"),
        ("orders < 3 and (idle < 9 or top == 'a')", "orders under 3 and (idle under 9 or top is 'a')"),
        ("not orders < 3", "not (orders under 3)"),
        (" orders / 2 > max([idle, 1]) ", "orders / 2 over max([idle, 1])"),
        ("True", "True"),
    ],
)
def test_a_rule_in_words(source, words):
    Rule.parse(source, SIGNALS, Kind.BOOLEAN)
    assert in_words(source) == words


def test_one_of_something_is_no_plural():
    assert [counted(number, "report") for number in (0, 1, 2, 2_000)] == [
        "0 reports", "1 report", "2 reports", "2,000 reports",
    ]  # fmt: skip
