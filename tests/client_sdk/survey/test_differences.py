"""The differences between two surveys, and the one-line message for an operator."""

from importlib import resources

import pytest

from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.differences import describe_change, differences

EXAMPLE = resources.files("hushtally.survey").joinpath("templates/shop.toml").read_text(encoding="utf-8")


def edited(*changes):
    text = EXAMPLE
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return Survey.parse(text)


def test_a_difference_states_the_place_and_both_values():
    ours = edited().resolved
    assert differences(ours, ours) == []
    assert differences(ours, edited(("days = 365", "days = 300"), ("= 500", "= 5")).resolved) == [
        "min_reports: 500 -> 5",
        "signals.idle_days.days: 365 -> 300",
    ]
    assert differences({"a": 1}, {"b": "x" * 90}) == ["a: 1 -> none", f"b: none -> '{'x' * 56}..."]
    assert differences({"a": [1, 2]}, {"a": [1]}) == ["a: [1, 2] -> [1]"]
    assert differences({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}) == ["a[1].b: 2 -> 3"]


RAPPOR = '{ name = "rappor", k = 16, h = 1, m = 4, f = 0.5, p = 0.5, q = 0.75 }'
AFFINITY = 'id = "affinity"'
FREQUENCY = 'id = "frequency"'


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ([], [("epsilon = 1.0", "epsilon = 8.0")], "privacy.epsilon: 1.0 -> 8.0"),
        (
            [],
            [(AFFINITY, f"{AFFINITY}\nepsilon = 0.5")],
            "questions.affinity.epsilon: 1.0 -> 0.5",
        ),
        (
            [(AFFINITY, f"{AFFINITY}\nepsilon = 0.5")],
            [(AFFINITY, f"{AFFINITY}\nepsilon = 0.5"), ("epsilon = 1.0", "epsilon = 0.5")],
            "privacy.epsilon: 1.0 -> 0.5",
        ),
        ([], [("[0, 20, 50", "[0, 30, 50")], "questions.basket.edges[1]: 20 -> 30"),
        (
            [],
            [('"music", "games"]', '"music"]')],
            "questions.affinity.categories: ['books', 'music', 'games'] -> ['books', 'music']",
        ),
        (
            [(FREQUENCY, f'{FREQUENCY}\nmechanism = "subset"')],
            [(FREQUENCY, f'{FREQUENCY}\nmechanism = "subset"'), ("epsilon = 1.0", "epsilon = 0.3")],
            "privacy.epsilon: 1.0 -> 0.3",
        ),
        (
            [],
            [(AFFINITY, f'{AFFINITY}\nmechanism = "oue"')],
            "questions.affinity.mechanism: 'direct' -> 'oue'",
        ),
        (
            [(AFFINITY, f"{AFFINITY}\nmechanism = {RAPPOR}")],
            [(AFFINITY, f"{AFFINITY}\nmechanism = {RAPPOR.replace('m = 4', 'm = 8')}")],
            "questions.affinity.mechanism.m: 4 -> 8",
        ),
        (
            [],
            [
                ("epsilon = 1.0", "epsilon = 2.0"),
                ("answers_every = 9", "answers_every = 2"),
                ("min_reports = 500", "min_reports = 400"),
                ("retention_days = 180", "retention_days = 90"),
                ("days = 365", "days = 300"),
            ],
            "retention_days: 180 -> 90; min_reports: 500 -> 400; privacy.epsilon: 1.0 -> 2.0 and 2 more",
        ),
    ],
)
def test_the_message_lists_only_what_the_author_changed(old, new, says):
    """Weights, mechanisms and epsilons that follow from another change are left out. At most three are listed."""
    assert describe_change(edited(*old), edited(*new)) == (
        f"shopping-habits v1 was changed since it was first collected: {says};"
        " give the changed survey a new version (hushtally survey diff OLD NEW shows all changes)"
    )


def test_a_new_order_of_the_questions_is_a_change():
    questions = EXAMPLE.split("[[questions]]")
    questions[1], questions[2] = questions[2], questions[1]
    line = describe_change(edited(), Survey.parse("[[questions]]".join(questions)))
    assert "first collected: the order of the questions; give the changed survey a new version" in line
