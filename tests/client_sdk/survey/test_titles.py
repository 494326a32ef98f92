"""The title of a question: what it asks, in words for customers."""

import pytest

from hushtally.client_sdk.survey import Survey

TITLE = "must be a string of 1 to 100 printable characters"


def test_every_question_may_have_a_title(edited):
    """Crosses and only-crossed questions may have one, too. The resolved survey contains the titles."""
    titles = [f"Was fragen wir? {number}" for number in range(5)]
    survey = Survey.from_resolved(edited({f"questions[{index}].title": title for index, title in enumerate(titles)}))
    assert [one.title for one in survey.questions] == titles
    assert survey.question("returned").name == "Was fragen wir? 1 (returned)"
    assert Survey.from_resolved(survey.resolved) == survey


def test_the_resolved_question_has_a_title_only_if_one_is_given(edited):
    """So a survey without titles keeps its digest, and adding a title changes the digest."""
    titled, untitled = (Survey.from_resolved(edited({"questions[0].title": title})) for title in ("Often?", ...))
    assert untitled.question("frequency").name == "frequency"
    assert "title" not in untitled.question("frequency").resolved
    assert titled.digest != untitled.digest


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("", "''"),
        ("  ", "'  '"),
        ("two\nlines", r"'two\nlines'"),
        ("\u202ebackwards", r"'\u202ebackwards'"),
        (7, "7"),
        ("x" * 101, f"'{'x' * 56}..."),
    ],
)
def test_a_title_is_one_line_of_printable_characters(problems, title, shown):
    assert problems({"questions[4].title": title}) == [f"questions[4] (basket).title: {TITLE}, got {shown}"]


def test_a_title_may_have_100_characters(edited):
    survey = Survey.from_resolved(edited({"questions[4].title": "é" * 100}))
    assert survey.question("basket").title == "é" * 100
