"""The starter of a context file: every question as a comment, for people to answer."""

from __future__ import annotations

import textwrap

from hushtally.client_sdk.error_text import one_line
from hushtally.client_sdk.survey import Survey
from hushtally.survey.card.field import GROUPS, Field, Group, Kind
from hushtally.survey.card.rating import Level
from hushtally.survey.card.risk import Risk, rated_by_people

WIDTH = 100  # columns of a comment

_EMPTY = {
    Kind.TEXT: '""',
    Kind.DAY: "2026-11-30",
    Kind.CHOICE: '""',
    Kind.SWITCH: "false",
    Kind.EPSILON: "8.0",
}


def starter(survey: Survey, survey_file: str) -> str:
    """A context file in TOML that answers nothing yet. It parses, and every line of an answer is a comment."""
    parts = [
        _comment(
            f"The context of the survey in {one_line(survey_file)}: what its privacy card needs and the survey does"
            ' not say. To answer a question, remove the "#" in front of its key. Long answers: """several lines""" or'
            ' ["one", "two"]. If a question does not apply: key = { not_applicable = "the reason" }.'
            " Questions marked with * have to be answered."
        ),
        "[card]",
        *(_group(group) for group in GROUPS),
        _comment("--- Review --- The default is the last day of the survey.") + "\n# review_on = 2027-05-02",
        _comment(
            "--- Risks --- Rate the likelihood and the severity of each risk before and after the measures:"
            f" {', '.join(level.word for level in Level)}. The other risks of the card are computed."
        ),
        *map(_risk, rated_by_people(survey)),
        _comment("A risk that only you know of. Repeat these lines for each.")
        + '\n# [[card.other_risks]]\n# risk = ""\n# measures = ""\n'
        + _RATING,
        _comment("--- Approval --- After the card is signed: the day, and the digest of the card that was signed.")
        + '\n# [card.approval]\n# on = 2026-11-30\n# digest = ""',
    ]
    return "\n\n".join(parts) + "\n"


_RATING = '# before = { likelihood = "", severity = "" }\n# after = { likelihood = "", severity = "" }\n# reason = ""'


def _group(group: Group) -> str:
    questions = [f"{_comment(_question(field))}\n# {field.key} = {_EMPTY[field.kind]}" for field in group.fields]
    return "\n\n".join([_comment(f"--- {group.title} ---"), *questions])


def _question(field: Field) -> str:
    return f"{field.title}{'*' if field.required else ''}: {field.ask}"


def _risk(risk: Risk) -> str:
    about = _comment(f"{risk.risk}: {risk.size}")
    return f"{about}\n# [card.risks.{risk.id}]\n{_RATING}"


def _comment(text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent="# ", subsequent_indent="# ", break_long_words=False)
