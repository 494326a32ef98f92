"""Reading a survey: what holds for all mistakes together, and for what is sound."""

from datetime import date

import pytest

from hushtally.client_sdk.error_text import did_you_mean
from hushtally.client_sdk.errors import Problem, SurveyError
from hushtally.client_sdk.survey import Survey

GONE = ...  # takes a field away
TOP = (
    "cohorts, ends, epoch, id, min_reports, owner, privacy, purpose, questions, "
    "retention_days, signals, starts, title, version"
)
IDENTIFIER = "must be 1 to 64 of a-z, 0-9, '_', '-', '.', beginning with a letter or digit"
EPSILON = "must be a number, at least 0.01 and at most 8"
SEGMENTS = [{"id": "a", "when": "orders_90d == 0"}, {"id": "b"}]
FIFTY = [str(number) for number in range(50)]


def test_a_survey_with_three_mistakes_names_all_three(edited):
    """All mistakes are found at once, each in a line of its own, and are there as data too."""
    changes = {"owner": "", "questions[0].segments[2].when": "orders_90d >", "questions[2].epsilon": 80}
    with pytest.raises(SurveyError) as caught:
        Survey.from_resolved(edited(changes))
    assert [problem.place for problem in caught.value.problems] == [
        "owner",
        "questions[0] (frequency).segments[2] (regular).when",
        "questions[2] (affinity).epsilon",
    ]
    assert caught.value.problems[2] == Problem("questions[2] (affinity).epsilon", f"{EPSILON}, got 80")
    assert str(caught.value) == "\n".join(map(str, caught.value.problems))


def test_everything_wrong_is_said_in_the_order_of_the_reading(problems):
    """One mistake of every table is found in one go, and a question's mistakes do not hide those of the next."""
    assert problems(
        {
            "id": "Shop",
            "privacy.epsilon": 0,
            "cohorts.platform": [],
            "signals.idle_days.days": 0,
            "questions[0].epsilon": -1,
            "questions[0].mechanism": "dirct",
            "questions[2].one_of": "orders_90d",
            "questions[4].edges": [2, 1],
            "zzz": 1,
        }
    ) == [
        f"id: {IDENTIFIER}, got 'Shop'",
        f"privacy.epsilon: {EPSILON}, got 0",
        "cohorts.platform: must be a list of 1 to 64 texts, got []",
        "signals.idle_days.days: must be an integer from 1 to 3,660, got 0",
        "questions[2] (affinity).one_of: must be a signal made by top, got 'orders_90d'; known: favourite",
        "questions[4] (basket).edges: must rise, got [2, 1]",
        f"questions[0] (frequency).epsilon: {EPSILON}, got -1",
        "questions[0] (frequency).mechanism: must be a mechanism, got 'dirct'; did you mean 'direct'?",
        f"zzz: unknown field; known: {TOP}",
    ]


def test_no_more_than_a_hundred_mistakes_are_named(problems):
    """A definition that is wrong all over is refused soon: a collector cannot keep a device busy with it."""
    lines = problems({f"x{number}": 1 for number in range(20_000)})
    assert len(lines) == 101
    assert lines[99].startswith("x99: unknown field; ")
    assert lines[100] == "and there are more mistakes than the 100 that are named here"
    assert len(problems({f"x{number}": 1 for number in range(100)})) == 100


def test_all_crosses_together_are_bounded(edited):
    """A small definition cannot make a device hold millions of names."""
    table = edited({"questions[5]": {"id": "m1", "number": "orders_90d", "edges": list(range(254))}})
    table["questions"] += [{**table["questions"][5], "id": "m2"}]
    table["questions"] += [{"id": f"c{number}", "cross": ["m1", "m2"]} for number in range(6)]
    with pytest.raises(SurveyError) as caught:
        Survey.from_resolved(table)
    said = "all crosses together must have at most 262,144 combinations"
    assert str(caught.value).splitlines() == [f"questions[{index}] (c{index - 7}).cross: {said}" for index in (11, 12)]


def test_a_wrong_question_does_not_move_the_places_of_others(problems):
    """Which questions are asked and crossed is told from what was written, whatever else is wrong."""
    assert problems({"questions[0].segments[0].when": "x", "questions[2].only_crossed": True}) == [
        (
            "questions[0] (frequency).segments[0] (none).when: "
            "unknown signal 'x'; known: favourite, idle_days, orders_90d, spend_90d"
        ),
        "questions[2] (affinity).only_crossed: is true, but no question crosses this one",
    ]
    assert problems({"questions": [{"id": "q", "segments": SEGMENTS, "only_crossed": True}]}) == [
        "privacy.questions_per_device: must be at most the number of questions that are asked, 0, got 1",
        "questions[0] (q).only_crossed: is true, but no question crosses this one",
    ]


@pytest.mark.parametrize("definition", [None, 7, "survey", ["id"], [("id", "x")]])
def test_a_definition_that_is_no_table_is_refused(definition):
    """What a collector sends in the place of a survey is not read further."""
    with pytest.raises(SurveyError) as caught:
        Survey.from_resolved(definition)
    assert str(caught.value).splitlines() == [f"must be a table, got {definition!r}"]


def test_what_is_nested_without_end_is_refused():
    """Depth is bounded before anything walks the definition by recursion."""
    bottomless = []
    for _ in range(100_000):
        bottomless = [bottomless]
    for definition, place in (
        ({"title": bottomless}, f"title{'[0]' * 15}"),
        ({"questions": [{"a": {"b\n": bottomless}}]}, f"questions[0].a.'b\\n'{'[0]' * 12}"),
    ):
        with pytest.raises(SurveyError) as caught:
            Survey.from_resolved(definition)
        assert str(caught.value) == f"{place}: must be nested at most 16 deep"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("id", "is not TOML: Expected '=' after a key in a key/value pair (at end of document)"),
        ("id = 1\nid = 2\n", "is not TOML: Cannot overwrite a value (at line 2, column 7)"),
        ("[" * 5000, "is not TOML: Invalid initial character for a key part (at line 1, column 3)"),
        ("id = " + "[" * 5000, "is not TOML that can be read: it is nested too deep or holds too long a number"),
        ("id = " + "1" * 5000, "is not TOML that can be read: it is nested too deep or holds too long a number"),
        ("id = 0x" + "f" * 5000, "id: must be an integer of at most 64 bits"),
    ],
)
def test_what_is_not_toml_is_refused(text, problem):
    """The parser's message names the line; what it cannot bear is refused in one line as well."""
    with pytest.raises(SurveyError) as caught:
        Survey.parse(text)
    assert str(caught.value) == problem


def test_the_edges_of_every_range_are_inside(edited):
    """The least and the most of what is allowed make a survey."""
    low = Survey.from_resolved(
        edited(
            {
                "id": "a", "title": "t", "starts": date(2000, 1, 3), "ends": "2000-01-09", "retention_days": 1,
                "min_reports": 1, "privacy.epsilon": 0.01, "privacy.answers_every": 1, "cohorts": GONE,
            }
        )
    )  # fmt: skip
    assert low.answers == low.epochs == 1
    assert low.all_cohorts() == [{}]
    high = Survey.from_resolved(
        edited(
            {
                "id": "a" * 64, "version": 10**6, "title": "é" * 200, "purpose": "x" * 2000, "epoch": "day",
                "ends": date(2027, 11, 2), "retention_days": 3660, "min_reports": 10**9, "privacy.epsilon": 8,
                "privacy.answers_every": 366, "privacy.questions_per_device": 4, "cohorts.platform": FIFTY,
                "signals.spend_90d.days": 3660, "questions[4].edges": [-1e15, -0.0, 10**15],
            }
        )
    )  # fmt: skip
    assert high.answers == 1
    assert high.lifetime_epsilon == 32
    assert high.longest_window == 3660
    assert high.question("basket").segments == ("-1e+15-0", "0-1e+15", "1e+15+", "none")


@pytest.mark.parametrize(
    ("segments", "ids"),
    [
        ([{"id": "yes", "when": "idle_days < 30"}, {"id": "no"}], ("yes", "no")),
        ([{"id": "yes", "when": "idle_days < 30"}], ("yes", "other")),
        ([{"id": "yes", "when": "idle_days < 30"}, {"id": "other"}], ("yes", "other")),
    ],
)
def test_without_a_last_segment_for_the_rest_other_is_added(segments, ids, edited):
    """Every customer is in a segment."""
    survey = Survey.from_resolved(edited({"questions[1].segments": segments}))
    assert survey.question("returned").segments == ids


def test_of_many_names_the_first_are_told():
    known = "; known: " + ", ".join(f"n{number:03}" for number in range(20)) + ", and 80 more"
    assert did_you_mean("other", [f"n{number:03}" for number in range(100)]) == known
