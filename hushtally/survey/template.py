"""The templates of `survey new`: whole surveys, one for each kind of business, that an author's answers change."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from importlib.resources import files

from hushtally.client_sdk.explain.belief import PRIOR, belief_bound, describe_belief
from hushtally.client_sdk.explain.wording import counted
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.epochs import EpochLength

NAMES = ("shop", "media", "app", "kiosk")
LIFETIME_CEILING = 3.0  # an observer who was 10% sure of something about a customer ends at most 70% sure
COMMENT_COLUMN = 29
COMMENT = " " * COMMENT_COLUMN + "# "


@dataclass(frozen=True)
class Answers:
    """The settings of a new survey that depend on its author.

    starts: a Monday. weeks: 1 or more. epsilon: of one report, above 0 and at most LIFETIME_CEILING. cohort: the values
    of the template's cohort.
    """

    id: str
    title: str
    purpose: str
    owner: str
    cohort: tuple[str, ...]
    starts: date
    weeks: int
    epsilon: float

    @property
    def ends(self) -> date:
        """The last day of the last week."""
        return self.starts + timedelta(weeks=self.weeks, days=-1)

    @property
    def answers_every(self) -> int:
        """The smallest number of weeks between two answers that keeps the lifetime epsilon within LIFETIME_CEILING."""
        most_answers = math.floor(LIFETIME_CEILING / self.epsilon)
        return math.ceil(self.weeks / most_answers)


@dataclass(frozen=True)
class Template:
    """The template of one kind of business: a survey file with an epoch of a week and one cohort."""

    name: str
    text: str

    @classmethod
    @cache
    def load(cls, name: str) -> Template:
        """The template with this name, one of NAMES."""
        return cls(name, files("hushtally.survey").joinpath(f"templates/{name}.toml").read_text(encoding="utf-8"))

    @property
    def cohort(self) -> str:
        """The name of the template's cohort."""
        [name] = Survey.parse(self.text).cohorts
        return name

    @property
    def records(self) -> list[str]:
        """The calls of `record` that the app needs, each with its comment."""
        return re.findall(r"^# +(client\.record\(.*)$", self.text, re.MULTILINE)

    def defaults(self, starts: date) -> Answers:
        """The answers that the template contains, for a survey that starts on `starts`."""
        survey = Survey.parse(self.text)
        return Answers(
            id=survey.id,
            title=survey.title,
            purpose=survey.purpose,
            owner=survey.owner,
            cohort=survey.cohorts[self.cohort],
            starts=starts,
            weeks=survey.epochs,
            epsilon=survey.privacy.epsilon,
        )

    def fill(self, answers: Answers) -> str:
        """The survey file with these answers, in TOML. Raises SurveyError if an answer is not valid in a survey."""
        values = {
            "id": _string(answers.id),
            "title": _string(answers.title),
            "purpose": _string(answers.purpose),
            "owner": _string(answers.owner),
            "starts": str(answers.starts),
            "ends": str(answers.ends),
            "epsilon": repr(answers.epsilon),
            "answers_every": str(answers.answers_every),
            self.cohort: f"[{', '.join(map(_string, answers.cohort))}]",
        }
        text = self.text
        for key, value in values.items():
            text = _set(text, key, value)
        return _comment_privacy(text, Survey.parse(text))


def example(today: date) -> str:
    """The survey of the template `shop`, in TOML, for a survey that starts in the week of `today`."""
    template = Template.load("shop")
    return template.fill(template.defaults(EpochLength.WEEK.start(today)))


def _string(value: str) -> str:
    """A TOML string. JSON escapes the same characters, except DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _set(text: str, key: str, value: str) -> str:
    """The text with another value at the first line of a key; a comment stays in its column."""

    def line(found: re.Match[str]) -> str:
        assignment, comment = f"{key} = {value}", found[1]
        return f"{assignment:<{COMMENT_COLUMN - 1}} {comment}" if comment else assignment

    return re.sub(rf"^{key} += .*?(?: +(#.*))?$", line, text, count=1, flags=re.MULTILINE)


def _comment_privacy(text: str, survey: Survey) -> str:
    """The text with comments in [privacy] that say what an observer can conclude, and what accuracy costs."""
    privacy, lifetime = survey.privacy, survey.lifetime_epsilon
    one, all_reports = (describe_belief(belief_bound(PRIOR, epsilon)) for epsilon in (privacy.epsilon, lifetime))
    every = f"in one week of {privacy.answers_every}" if privacy.answers_every > 1 else "every week"
    comments = {
        "epsilon": [
            f"what one report may reveal: an observer who was {PRIOR:.0%} sure is then {one}.",
            "Half the epsilon needs about four times as many devices for the same accuracy",
        ],
        "questions_per_device": ["each device selects one question at random and keeps it"],
        "answers_every": [
            f"a device answers {every}, at most {counted(survey.answers, 'time')}: lifetime epsilon {lifetime:g}.",
            f"An observer of all its reports who was {PRIOR:.0%} sure is then {all_reports}.",
            "A smaller number brings more reports each week and raises the lifetime epsilon",
        ],
        "memory": ["every answer is randomized anew"],
    }
    lines = ["[privacy]"]
    for key, (first, *more) in comments.items():
        value = getattr(privacy, key)
        assignment = f"{key} = {_string(value) if isinstance(value, str) else repr(value)}"
        lines += [f"{assignment:<{COMMENT_COLUMN - 1}} # {first}", *(COMMENT + line for line in more)]
    return re.sub(r"^\[privacy\]\n.*?(?=\n\n)", lambda _: "\n".join(lines), text, count=1, flags=re.M | re.S)
