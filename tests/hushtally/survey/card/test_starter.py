"""A new context file: it parses, answers nothing, and has every question of the survey's card."""

from __future__ import annotations

import re
import tomllib

import pytest

from card_context import CHOSEN, PERMANENT, SURVEY
from hushtally.client_sdk.survey import Survey
from hushtally.survey.card.context import Context
from hushtally.survey.card.context_reader import ContextReader
from hushtally.survey.card.field import all_fields
from hushtally.survey.card.readiness import Readiness
from hushtally.survey.card.risk import rated_by_people
from hushtally.survey.card.starter import starter

KEY = re.compile(r"^# (\w+ = .*|\[.*\])$", re.MULTILINE)


@pytest.fixture(scope="module", params=[SURVEY, PERMANENT], ids=["fresh", "permanent"])
def survey(request: pytest.FixtureRequest) -> Survey:
    return Survey.parse(request.param)


def test_it_answers_nothing(survey: Survey) -> None:
    context = ContextReader(tomllib.loads(starter(survey, "habits.toml")), survey).read()
    assert context == Context()


def test_it_has_every_question_and_every_risk_with_what_to_write(survey: Survey) -> None:
    text = starter(survey, "habits.toml")
    flat = re.sub(r"\n# (?=\S)", " ", text)
    for field in all_fields():
        assert text.count(f"\n# {field.key} = ") == 1
        assert f"{field.title}{'*' if field.required else ''}: {field.ask}" in flat
    for risk in rated_by_people(survey):
        assert text.count(f"\n# [card.risks.{risk.id}]\n") == 1
        assert f"{risk.risk}: {risk.size}" in flat


def test_without_the_comment_signs_it_is_a_complete_context(survey: Survey) -> None:
    """Whoever removes the "#" and writes between the quotes gets a valid file: the order of its tables is right."""
    text = KEY.sub(lambda found: found[1], starter(survey, "habits.toml"))
    text = text.replace('likelihood = "", severity = ""', 'likelihood = "limited", severity = "limited"')
    for key, word in CHOSEN.items():
        text = text.replace(f'\n{key} = ""', f'\n{key} = "{word}"')
    text = text.replace('digest = ""', f'digest = "{"0" * 64}"').replace('= ""', '= "Something was written here."')
    text = text.replace("max_lifetime_epsilon = 8.0", "max_lifetime_epsilon = 90.0")
    context = ContextReader(tomllib.loads(text), survey).read()
    assert Readiness.of(survey, context).unanswered == ()
    assert len(context.other_risks) == 1
    assert context.approval is not None
    assert context.review_on is not None


@pytest.mark.parametrize("name", ["a\nb.toml", "caf\udce9.toml", "x\x07.toml"])
def test_a_strange_file_name_does_not_break_it(survey: Survey, name: str) -> None:
    text = starter(survey, name)
    text.encode("utf-8")
    assert ContextReader(tomllib.loads(text), survey).read() == Context()


def test_its_lines_fit_a_screen(survey: Survey) -> None:
    assert max(map(len, starter(survey, "habits.toml").splitlines())) <= 100
