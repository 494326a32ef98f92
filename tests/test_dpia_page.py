"""The pages on the card: every key of the context file, and where each field of four templates is."""

from __future__ import annotations

import re
import tomllib

import pytest

from card_context import SURVEY, answers, read
from hushtally.client_sdk.survey import Survey
from hushtally.survey.card.card import card
from hushtally.survey.card.context import Context
from hushtally.survey.card.field import GROUPS, Group, Kind, all_fields
from hushtally.survey.card.rating import LIKELIHOODS
from hushtally.survey.card.risk import rated_by_people
from page_text import read as read_page
from page_text import table

TEMPLATES = read_page("docs/reference/dpia.md")
CARD = read_page("docs/reference/card.md")
HEADINGS = re.findall(r"^## (.*: .*)$", TEMPLATES, re.MULTILINE)
OTHER_KEYS = {"review_on", "risks", "other_risks", "approval"}
KEYS = {field.key for field in all_fields()} | OTHER_KEYS
ANSWERS = {
    Kind.TEXT: "text",
    Kind.DAY: "date",
    Kind.CHOICE: "choice",
    Kind.SWITCH: "`true` or `false`",
    Kind.EPSILON: "number",
}


def keys(source: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", source))


def test_there_are_four_templates() -> None:
    assert HEADINGS == ["United Kingdom: ICO", "France: CNIL", "European Union: EDPB", "Netherlands: Rijksmodel"]


@pytest.mark.parametrize("heading", HEADINGS)
def test_every_field_of_a_template_has_a_place_and_a_source(heading: str) -> None:
    """A section of the card, and the survey or keys that exist; or a reason why it does not apply."""
    sections = {section.heading for section in card(Survey.parse(SURVEY), Context()).sections} | {"Overview"}
    rows = table(TEMPLATES, f"## {heading}\n")
    assert len(rows) >= 30
    assert len({field for field, *_ in rows}) == len(rows)
    for field, place, source in rows:
        assert keys(source) <= KEYS, field
        if place == "—":
            assert re.match(r"not applicable: \w+", source), field
        else:
            assert set(place.split("; ")) <= sections, field
            assert "survey" in source or keys(source), field


def test_every_question_of_the_card_is_a_field_of_a_template() -> None:
    """No question is asked that no authority asks."""
    named = set().union(*(keys(source) for heading in HEADINGS for *_, source in table(TEMPLATES, f"## {heading}\n")))
    assert named == KEYS


def test_every_key_is_answered_in_a_section_that_its_row_names() -> None:
    """A reader who copies the card into an authority's form finds each answer where the table says."""
    survey = Survey.parse(SURVEY)
    shown = {section.heading: str(section) for section in card(survey, read(survey, answers(survey))).sections}
    titles = {field.key: field.title for field in all_fields()}
    for heading in HEADINGS:
        for field, place, source in table(TEMPLATES, f"## {heading}\n"):
            sections = "".join(shown.get(one, "") for one in place.split("; "))
            assert [key for key in keys(source) - OTHER_KEYS if repr(titles[key]) not in sections] == [], field


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.title)
def test_the_reference_has_every_question_in_its_group(group: Group) -> None:
    """In the order of the card, in the words of the card, with what an answer looks like."""
    assert table(CARD, f"### {group.title}\n") == [
        [f"`{field.key}`", field.ask, ANSWERS[field.kind], "no" if field.required else "yes"] for field in group.fields
    ]


def test_the_reference_has_the_other_keys() -> None:
    assert {key.strip("`") for key, *_ in table(CARD, "### Review, risks and approval\n")} == OTHER_KEYS


def test_the_reference_has_every_risk_that_people_rate() -> None:
    stated = {id.strip("`") for id, _ in table(CARD, "| risk | what it is |")}
    assert stated == {risk.id for risk in rated_by_people(Survey.parse(SURVEY))} | {"changes"}


def test_the_reference_states_the_limits_of_the_computed_likelihood() -> None:
    rows = table(CARD, "| belief | likelihood |")
    assert rows[:-1] == [[f"up to {largest:.0%}", level.word] for largest, level in LIKELIHOODS]


def test_the_examples_of_the_reference_are_valid() -> None:
    survey = Survey.parse(SURVEY)
    blocks = re.findall(r"```toml\n(.*?)```", CARD, re.DOTALL)
    context = read(survey, tomllib.loads("\n".join(blocks))["card"])
    assert context.answers
    assert context.ratings
    assert context.other_risks
