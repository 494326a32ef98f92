"""What an app gives to a client and cannot mean is a ClientError of one line, before anything is opened."""

from pathlib import Path

import pytest

from client_sdk import Client, ClientError, Survey
from client_sdk.arguments import given_cohorts
from client_sdk.testing import Recorder
from hushtally.survey_cli import EXAMPLE_STARTS, example

SURVEY = Survey.parse(example(EXAMPLE_STARTS))
OTHER = Survey.parse(example(EXAMPLE_STARTS).replace("shopping-habits", "other").replace("platform", "os"))
MUST_BE_A_SURVEY = "surveys must be a Survey, as Survey.load reads it, or several, got "


def client(surveys=SURVEY, **options):
    options = {"collector": "https://x.example", "state": ":memory:", "cohort": {"platform": "web"}, **options}
    return Client(surveys, transport=Recorder(), **options)


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
def test_what_is_no_survey(surveys, shown):
    with pytest.raises(ClientError) as caught:
        client(surveys)
    assert str(caught.value) == MUST_BE_A_SURVEY + shown


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"state": None}, "state must be the path of a file, got None"),
        ({"state": ""}, "state must be the path of a file, got ''"),
        ({"state": 7}, "state must be the path of a file, got 7"),
        ({"max_epsilon": -1}, "max_epsilon must be a number above 0, or None, got -1"),
        ({"max_epsilon": "1"}, "max_epsilon must be a number above 0, or None, got '1'"),
        ({"max_lifetime_epsilon": 0}, "max_lifetime_epsilon must be a number above 0, or None, got 0"),
        ({"max_lifetime_epsilon": float("nan")}, "max_lifetime_epsilon must be a number above 0, or None, got nan"),
        ({"cohort": "linux"}, 'cohort must be a mapping like {"platform": "web"}, got \'linux\''),
        ({"cohort": {}}, "cohort must give exactly the declared cohorts (platform), got {}"),
        ({"cohort": {"platform": "tv"}}, 'cohort platform must be one of web, ios, android, got {"platform": "tv"}'),
        (
            {"cohort": {"platform": "web", "city": "Ulm"}},
            "cohort 'city' is declared by no survey; declared: platform",
        ),
        ({"cohort": {"platform": {1}}}, 'cohort platform must be one of web, ios, android, got {"platform": "{1}"}'),
    ],
)
def test_what_cannot_be_meant(options, problem):
    with pytest.raises(ClientError) as caught:
        client(**options)
    assert str(caught.value) == problem


def test_each_survey_takes_its_own_cohorts():
    assert given_cohorts([SURVEY, OTHER], {"platform": "ios", "os": "web"}) == [{"platform": "ios"}, {"os": "web"}]
    with pytest.raises(ClientError, match=r"cohort 'city' is declared by no survey; declared: os, platform$"):
        given_cohorts([SURVEY, OTHER], {"platform": "ios", "os": "web", "city": "Ulm"})
    with pytest.raises(ClientError, match=r"cohort 'city' is declared by no survey; declared: none$"):
        given_cohorts([], {"city": "Ulm"})


@pytest.mark.parametrize("surveys", [SURVEY, [SURVEY], (one for one in [SURVEY])])
def test_one_survey_or_several(surveys):
    with client(surveys, max_epsilon=1, max_lifetime_epsilon=7.0) as made:
        assert [one.survey for one in made.status().surveys] == ["shopping-habits v1"]
