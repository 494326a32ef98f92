"""Rules in words: every operator of the rule language has words, and everything else stays as it is written."""

import pytest

from hushtally.client_sdk.explain.wording import counted, describe_rule
from hushtally.client_sdk.survey.rules import Kind, Rule

SIGNALS = {"orders": Kind.NUMBER, "idle": Kind.NUMBER, "top": Kind.TEXT}


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("orders == 0", "orders is 0"),
        ("orders != 0", "orders is not 0"),
        ("orders < 3", "orders is below 3"),
        ("orders <= 3", "orders is at most 3"),
        ("orders > 3", "orders is above 3"),
        ("orders >= -3", "orders is at least -3"),
        ("3 < orders", "orders is above 3"),
        ("3 >= orders", "orders is at most 3"),
        ("0 == orders", "orders is 0"),
        ("2 <= orders <= 4", "orders is from 2 to 4"),
        ("2 < orders <= 4", "orders is above 2 and orders is at most 4"),
        ("4 > orders > idle > 1", "orders is below 4 and orders is above idle and idle is above 1"),
        ("top in ['a', 'b']", "top is one of 'a', 'b'"),
        ("top not in ('a',)", "top is not one of 'a'"),
        ("orders in [1, 2]", "orders is one of 1, 2"),
        ("orders < 3 and idle < 9", "orders is below 3 and idle is below 9"),
        (
            "orders < 3 and (idle < 9 or top == 'a')",
            "orders is below 3 and (idle is below 9 or top is 'a')",
        ),
        ("not orders < 3", "not (orders is below 3)"),
        (" orders / 2 > max([idle, 1]) ", "orders / 2 is above max([idle, 1])"),
        ("True", "True"),
    ],
)
def test_a_rule_in_words(source, words):
    Rule.parse(source, SIGNALS, Kind.TRUTH)
    assert describe_rule(source) == words


def test_a_noun_is_singular_only_after_one():
    assert [counted(number, "report") for number in (0, 1, 2, 2_000)] == [
        "0 reports", "1 report", "2 reports", "2,000 reports",
    ]  # fmt: skip
