"""The templates of `survey new`: what each asks, what the app records for it, and what a device reveals at most."""

from __future__ import annotations

import ast
import re
import tomllib
from dataclasses import replace
from datetime import date, timedelta
from itertools import product
from typing import Any

import pytest

from hushtally import Client, Survey
from hushtally.client_sdk.errors import SurveyError
from hushtally.client_sdk.explain.advice import advice
from hushtally.client_sdk.explain.explanation import explain_survey
from hushtally.client_sdk.survey.privacy import within_ceiling
from hushtally.client_sdk.testing import Recorder, ScriptedClock, SeededRandomness
from hushtally.survey.template import LIFETIME_CEILING, NAMES, Template, example

MONDAY = date(2026, 12, 7)
HOSTILE = [
    'He said "stop"',
    "C:\\new\\table",
    "# no comment, = no value, [no] {table}",
    "'''\"\"\"",
    "título – naïve: ½ 🎵 日本語",
    "\\u0041 \\1 \\g<0> $id {id} %s",
    "starts = 2000-01-01",
]


TEMPLATES = [Template.load(name) for name in NAMES]
PLANS = list(product((1, 2, 3, 4, 13, 26, 51, 52), (0.5, 0.6, 0.7, 1.0, 1.5, 2.9, 3.0)))  # weeks and epsilon


def recorded(template: Template) -> list[tuple[str, dict[str, Any]]]:
    """The event and the fields of each call of `record` that a template names."""
    calls = [ast.parse(line).body[0].value for line in template.records]  # type: ignore[attr-defined]
    return [
        (ast.literal_eval(call.args[0]), {word.arg: ast.literal_eval(word.value) for word in call.keywords})
        for call in calls
    ]


@pytest.mark.parametrize("template", TEMPLATES, ids=NAMES)
def test_a_template_is_what_its_own_answers_give(template: Template) -> None:
    """So the comments of a shipped template are the ones that a filled template has."""
    survey = Survey.parse(template.text)
    assert template.fill(template.defaults(survey.starts)) == template.text


@pytest.mark.parametrize(("weeks", "epsilon"), PLANS)
def test_no_device_reveals_more_than_the_ceiling(weeks: int, epsilon: float) -> None:
    """Whatever the length and the epsilon. Every device answers, and as often as the ceiling allows."""
    template = Template.load("shop")
    survey = Survey.parse(template.fill(replace(template.defaults(MONDAY), weeks=weeks, epsilon=epsilon)))
    assert (survey.epochs, survey.privacy.epsilon) == (weeks, epsilon)
    assert within_ceiling(survey.lifetime_epsilon, LIFETIME_CEILING)
    assert 1 <= survey.privacy.answers_every <= weeks
    more = replace(survey.privacy, answers_every=survey.privacy.answers_every - 1)
    assert more.answers_every == 0 or not within_ceiling(
        replace(survey, privacy=more).lifetime_epsilon, LIFETIME_CEILING
    )


@pytest.mark.parametrize("template", TEMPLATES, ids=NAMES)
@pytest.mark.parametrize(("weeks", "epsilon"), [(1, 3.0), (1, 0.5), (26, 1.0), (52, 0.5), (52, 3.0)])
def test_a_filled_template_has_no_warning_and_is_explained(template: Template, weeks: int, epsilon: float) -> None:
    text = template.fill(replace(template.defaults(MONDAY), weeks=weeks, epsilon=epsilon))
    survey = Survey.parse(text)
    assert advice(survey, MONDAY - timedelta(days=7)) == []
    assert (survey.starts, survey.ends) == (MONDAY, MONDAY + timedelta(weeks=weeks, days=-1))
    explained = explain_survey(survey, technical=True).text(100)
    assert all(question.title and question.title in " ".join(explained.split()) for question in survey.asked)
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize("template", TEMPLATES, ids=NAMES)
def test_the_comments_say_what_an_observer_can_conclude(template: Template) -> None:
    """Beside epsilon and answers_every, for the values that were chosen: 1 or 2 answers at epsilon 1.5."""
    answers = replace(template.defaults(MONDAY), epsilon=1.5)
    text = template.fill(answers)
    assert re.search(r"^epsilon = 1.5 +# .* 10% sure is then at most 34% sure\.$", text, re.MULTILINE)
    assert re.search(r"^answers_every = 13 +# .* in one week of 13, at most 2 times: lifetime epsilon 3\.$", text, re.M)
    assert "An observer of all its reports who was 10% sure is then at most 70% sure." in text
    short = template.fill(replace(answers, weeks=1))
    assert re.search(r"^answers_every = 1 +# .* every week, at most 1 time: lifetime epsilon 1.5\.$", short, re.M)


@pytest.mark.parametrize("template", TEMPLATES, ids=NAMES)
def test_a_template_names_every_event_that_the_app_records(template: Template) -> None:
    """No event or field of its signals is missing, and none is recorded in vain."""
    survey = Survey.parse(template.text)
    needed: dict[str, set[str]] = {}
    for signal in survey.signals.values():
        needed.setdefault(signal.event, set()).update({signal.field} - {None})  # type: ignore[arg-type]
    assert {event: set(fields) for event, fields in recorded(template)} == needed


@pytest.mark.parametrize("template", TEMPLATES, ids=NAMES)
def test_a_device_answers_a_new_survey(template: Template) -> None:
    """Each of 40 devices records the events of the comments, ticks every week, and sends what was promised."""
    survey = Survey.parse(template.fill(replace(template.defaults(MONDAY), weeks=3)))
    asked = set()
    for number in range(40):
        recorder, clock = Recorder(), ScriptedClock(str(MONDAY))
        cohort = {name: values[number % len(values)] for name, values in survey.cohorts.items()}
        with Client(
            survey, collector="https://x.example", state=":memory:", cohort=cohort, clock=clock, transport=recorder,
            randomness=SeededRandomness(number), strict=True,
        ) as client:  # fmt: skip
            client.grant_consent()
            for event, fields in recorded(template):
                client.record(event, **fields)
            for _ in range(4):
                client.tick()
                clock.advance(days=7)
                client.flush()
        assert len(recorder.reports) == survey.answers == 3
        asked |= {report.question for report in recorder.reports}
    assert asked == {question.id for question in survey.asked}


@pytest.mark.parametrize("template", TEMPLATES, ids=NAMES)
def test_hostile_text_stays_text(template: Template) -> None:
    """Quotes, backslashes, comments, placeholders and any script arrive in the survey as they were typed."""
    for text in HOSTILE:
        answers = replace(template.defaults(MONDAY), title=text, purpose=text, owner=text, cohort=(text, "web"))
        filled = template.fill(answers)
        survey = Survey.parse(filled)
        assert (survey.title, survey.purpose, survey.owner) == (text, text, text)
        assert survey.cohorts == {template.cohort: (text, "web")}
        assert advice(survey, MONDAY) == []
        unchanged = tomllib.loads(template.text)
        assert tomllib.loads(filled)["questions"] == unchanged["questions"]


@pytest.mark.parametrize("text", ["", " ", "two\nlines", "a\ttab", "DEL \x7f", "bell \a", "\udcff", "x" * 201])
def test_text_that_no_survey_may_contain_is_named(text: str) -> None:
    """It is escaped in the file, so that the message is about the text and not about TOML."""
    template = Template.load("shop")
    with pytest.raises(SurveyError, match=r"^title: must be a string of 1 to 200 printable characters, got "):
        template.fill(replace(template.defaults(MONDAY), title=text))


@pytest.mark.parametrize("step", [*range(15), 100, 175, 181, 182, 183, 1216])
def test_the_example_runs_today(step: int) -> None:
    """It starts in the current week, and is otherwise always the same."""
    today = date(2026, 11, 2) + timedelta(days=step)
    survey = Survey.parse(example(today))
    assert survey.runs(today)
    assert (today - survey.starts).days < 7
    assert replace(survey, starts=date(2026, 11, 2), ends=date(2027, 5, 2)) == Survey.parse(Template.load("shop").text)
