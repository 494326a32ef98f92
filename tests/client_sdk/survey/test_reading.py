"""Reading a survey: rules for all mistakes together, and valid surveys."""

from datetime import date

import pytest

from hushtally.client_sdk.error_text import did_you_mean
from hushtally.client_sdk.errors import Problem, SurveyError
from hushtally.client_sdk.survey import Survey

GONE = ...  # removes a field
TOP = (
    "cohorts, ends, epoch, id, min_reports, owner, privacy, purpose, questions, "
    "retention_days, signals, starts, title, version"
)
IDENTIFIER = "must be 1 to 64 characters of a-z, 0-9, '_', '-' and '.', starting with a letter or digit"
EPSILON = "must be a number between 0.01 and 8"
SEGMENTS = [{"id": "a", "when": "orders_90d == 0"}, {"id": "b"}]
FIFTY = [str(number) for number in range(50)]


def test_all_three_mistakes_of_a_survey_are_reported(edited):
    """All mistakes are found at once. Each has its own line, and they are available as data, too."""
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


def test_mistakes_are_reported_in_the_order_of_reading(problems):
    """The mistakes of one question do not hide those of the next."""
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
        "cohorts.platform: must be a list of 1 to 64 strings, got []",
        "signals.idle_days.days: must be an integer from 1 to 3,660, got 0",
        "questions[2] (affinity).one_of: must name a signal with top, got 'orders_90d'; known: favourite",
        "questions[4] (basket).edges: must be in ascending order without duplicates, got [2, 1]",
        f"questions[0] (frequency).epsilon: {EPSILON}, got -1",
        "questions[0] (frequency).mechanism: unknown mechanism 'dirct'; did you mean 'direct'?",
        f"zzz: unknown field; known: {TOP}",
    ]


def test_at_most_a_hundred_mistakes_are_reported(problems):
    """A definition full of mistakes is refused quickly: a collector cannot keep a device busy with it."""
    lines = problems({f"x{number}": 1 for number in range(20_000)})
    assert len(lines) == 101
    assert lines[99].startswith("x99: unknown field; ")
    assert lines[100] == "there are more mistakes; only the first 100 are listed"
    assert len(problems({f"x{number}": 1 for number in range(100)})) == 100


def test_the_size_of_all_crosses_together_is_bounded(edited):
    """A small definition cannot make a device store millions of names."""
    table = edited({"questions[5]": {"id": "m1", "number": "orders_90d", "edges": list(range(254))}})
    table["questions"] += [{**table["questions"][5], "id": "m2"}]
    table["questions"] += [{"id": f"c{number}", "cross": ["m1", "m2"]} for number in range(6)]
    with pytest.raises(SurveyError) as caught:
        Survey.from_resolved(table)
    limit = "all crosses together must have at most 262,144 combinations"
    assert str(caught.value).splitlines() == [
        f"questions[11] (c4).cross: {limit}, got 325,133",
        f"questions[12] (c5).cross: {limit}, got 390,158",
    ]


def test_a_wrong_question_does_not_change_the_places_of_others(problems):
    """A question with a mistake still counts as asked or crossed."""
    assert problems({"questions[0].segments[0].when": "x", "questions[2].only_crossed": True}) == [
        (
            "questions[0] (frequency).segments[0] (none).when: "
            "unknown signal 'x'; known: favourite, idle_days, orders_90d, spend_90d"
        ),
        "questions[2] (affinity).only_crossed: is true, but no question crosses this one; remove it, or add a cross",
    ]
    assert problems({"questions": [{"id": "q", "segments": SEGMENTS, "only_crossed": True}]}) == [
        "privacy.questions_per_device: must be at most 0, the number of questions that are asked, got 1",
        "questions[0] (q).only_crossed: is true, but no question crosses this one; remove it, or add a cross",
    ]


@pytest.mark.parametrize("definition", [None, 7, "survey", ["id"], [("id", "x")]])
def test_a_definition_that_is_not_a_table_is_refused(definition):
    """A collector may send anything instead of a survey."""
    with pytest.raises(SurveyError) as caught:
        Survey.from_resolved(definition)
    assert str(caught.value).splitlines() == [f"must be a table, got {definition!r}"]


def test_a_deeply_nested_definition_is_refused():
    """The depth is checked before any recursive function walks the definition."""
    bottomless = []
    for _ in range(100_000):
        bottomless = [bottomless]
    for definition, place in (
        ({"title": bottomless}, f"title{'[0]' * 15}"),
        ({"questions": [{"a": {"b\n": bottomless}}]}, f"questions[0].a.'b\\n'{'[0]' * 12}"),
    ):
        with pytest.raises(SurveyError) as caught:
            Survey.from_resolved(definition)
        assert str(caught.value) == f"{place}: must be nested at most 16 levels deep"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("id", "is not valid TOML: Expected '=' after a key in a key/value pair (at end of document)"),
        ("id = 1\nid = 2\n", "is not valid TOML: Cannot overwrite a value (at line 2, column 7)"),
        ("[" * 5000, "is not valid TOML: Invalid initial character for a key part (at line 1, column 3)"),
        (
            "id = " + "[" * 5000,
            "cannot be parsed: the TOML is nested too deeply or contains a number with too many digits",
        ),
        (
            "id = " + "1" * 5000,
            "cannot be parsed: the TOML is nested too deeply or contains a number with too many digits",
        ),
        ("id = 0x" + "f" * 5000, "id: must be an integer of at most 64 bits"),
    ],
)
def test_invalid_toml_is_refused(text, problem):
    """The message of the parser states the line. Input that the parser cannot handle is refused in one line, too."""
    with pytest.raises(SurveyError) as caught:
        Survey.parse(text)
    assert str(caught.value) == problem


def test_the_limits_of_every_range_are_valid(edited):
    """A survey may have all the smallest, or all the largest values."""
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
def test_the_segment_other_is_added_if_the_last_segment_has_a_rule(segments, ids, edited):
    """So every customer is in a segment."""
    survey = Survey.from_resolved(edited({"questions[1].segments": segments}))
    assert survey.question("returned").segments == ids


def test_a_message_lists_the_first_of_many_names():
    known = "; known: " + ", ".join(f"n{number:03}" for number in range(20)) + ", and 80 more"
    assert did_you_mean("other", [f"n{number:03}" for number in range(100)]) == known
