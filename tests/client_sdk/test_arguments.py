"""Invalid arguments of a client raise a ClientError of one line, before anything is opened."""

from datetime import date, datetime
from pathlib import Path

import pytest

from hushtally import Client, ClientError, Survey
from hushtally.client_sdk.arguments import checked_cohorts
from hushtally.client_sdk.testing import Recorder
from hushtally.survey.template import example

SURVEY = Survey.parse(example(date(2026, 11, 2)))
OTHER = Survey.parse(example(date(2026, 11, 2)).replace("shopping-habits", "other").replace("platform", "os"))
MUST_BE_SURVEYS = "surveys must be one or several Survey objects, as Survey.load returns them, got "


def client(surveys=SURVEY, **options):
    given = {"collector": "https://x.example", "state": ":memory:", "cohort": {"platform": "web"}}
    return Client(surveys, **(given | {"transport": Recorder()} | options))


@pytest.mark.parametrize(
    ("surveys", "shown"),
    [
        ("notes.toml", "'notes.toml'"),
        (b"notes.toml", "b'notes.toml'"),
        (Path("notes.toml"), repr(Path("notes.toml"))),
        (None, "None"),
        (["notes.toml"], "['notes.toml']"),
    ],
)
def test_an_argument_that_is_not_a_survey(surveys, shown):
    with pytest.raises(ClientError) as caught:
        client(surveys)
    assert str(caught.value) == MUST_BE_SURVEYS + shown


@pytest.mark.parametrize("surveys", [[], (), (one for one in ())])
def test_no_survey_at_all(surveys):
    """For example from a folder without surveys."""
    with pytest.raises(ClientError, match=r"^surveys must be at least one Survey, got none$"):
        client(surveys)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"state": None}, "state must be the path of a file, got None"),
        ({"state": ""}, "state must be the path of a file, got ''"),
        ({"state": 7}, "state must be the path of a file, got 7"),
        ({"state": b"state.db"}, "state must be the path of a file, got b'state.db'"),
        (
            {"state": "~nobody-of-this-name/state.db"},
            "state must be the path of a file, got '~nobody-of-this-name/state.db'",
        ),
        ({"state": "sqlite:///state.db"}, "state must be the path of a file, got 'sqlite:///state.db'"),
        ({"state": "state\0.db"}, "state must be the path of a file, got 'state\\x00.db'"),
        ({"clock": lambda: 7}, "clock must return a datetime with a time zone, got 7"),
        (
            {"clock": lambda: datetime(2026, 11, 2)},
            "clock must return a datetime with a time zone, got datetime.datetime(2026, 11, 2, 0, 0)",
        ),
        ({"clock": lambda: 1 // 0}, "clock must be a function that returns the time; it raised ZeroDivisionError"),
        ({"device": 4711}, "device must be a string, got 4711"),
        ({"device": None}, "device must be a string, got None"),
        ({"keep_consent": 1}, "keep_consent must be True or False, got 1"),
        (
            {"keep_consent": True},
            "keep_consent=True needs max_lifetime_epsilon, the most that a customer who is not asked again may spend",
        ),
        ({"durable": "no"}, "durable must be True or False, got 'no'"),
        ({"strict": None}, "strict must be True or False, got None"),
        ({"clock": 7}, "clock must be a function that returns the time, got 7"),
        ({"on_error": "log"}, "on_error must be a function that takes a Fault, or None, got 'log'"),
        ({"randomness": 7}, "randomness must be a Randomness, or None, got 7"),
        ({"transport": "https"}, "transport must have a method `request`, or be None, got 'https'"),
        ({"max_epsilon": -1}, "max_epsilon must be a number above 0, or None, got -1"),
        ({"max_epsilon": True}, "max_epsilon must be a number above 0, or None, got True"),
        ({"max_epsilon": "1"}, "max_epsilon must be a number above 0, or None, got '1'"),
        ({"max_lifetime_epsilon": 0}, "max_lifetime_epsilon must be a number above 0, or None, got 0"),
        ({"max_lifetime_epsilon": float("nan")}, "max_lifetime_epsilon must be a number above 0, or None, got nan"),
        ({"cohort": "linux"}, 'cohort must be a mapping like {"platform": "web"}, got \'linux\''),
        ({"cohort": {}}, "cohort must give exactly the declared cohorts (platform), got {}"),
        ({"cohort": {"platform": "tv"}}, 'cohort platform must be one of web, ios, android, got {"platform": "tv"}'),
        (
            {"cohort": {"platform": "web", "city": "Ulm"}},
            "cohort 'city' is not declared by any survey; declared: platform",
        ),
        ({"cohort": {"platform": {1}}}, 'cohort platform must be one of web, ios, android, got {"platform": "{1}"}'),
    ],
)
def test_an_invalid_argument(options, problem):
    with pytest.raises(ClientError) as caught:
        client(**options)
    assert str(caught.value) == problem


def test_any_string_may_name_a_device(tmp_path):
    """Also a string that cannot be encoded, as the name of a user may be."""
    for name in ("", "anna", "\udcff", "\0"):
        with client(state=tmp_path / "state.db", device=name) as made:
            assert made.status().silent is None


def test_each_survey_gets_its_own_cohorts():
    assert checked_cohorts([SURVEY, OTHER], {"platform": "ios", "os": "web"}) == [{"platform": "ios"}, {"os": "web"}]
    with pytest.raises(ClientError, match=r"cohort 'city' is not declared by any survey; declared: os, platform$"):
        checked_cohorts([SURVEY, OTHER], {"platform": "ios", "os": "web", "city": "Ulm"})
    with pytest.raises(ClientError, match=r"cohort 'city' is not declared by any survey; declared: none$"):
        checked_cohorts([], {"city": "Ulm"})


@pytest.mark.parametrize("surveys", [SURVEY, [SURVEY], (one for one in [SURVEY])])
def test_one_survey_or_several(surveys):
    with client(surveys, max_epsilon=1, max_lifetime_epsilon=7.0) as made:
        assert [(one.survey, one.version) for one in made.status().surveys] == [("shopping-habits", 1)]
