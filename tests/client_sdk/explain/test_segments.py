"""A question in words names every one of its segments, however many it has."""

import json

import pytest

from hushtally import Survey
from hushtally.client_sdk.explain.explanation import explain_survey
from hushtally.client_sdk.explain.segments import describe_question, describe_segments

QUESTIONS = """
[[questions]]
id = "how-often"
segments = [{ id = "rarely", when = "orders < 2" }, { id = "often" }]
only_crossed = true
[[questions]]
id = "basket"
number = "spend / orders"
edges = [0, 10, 50]
otherwise = "none"
[[questions]]
id = "once"
number = "orders"
edges = [1]
[[questions]]
id = "both"
cross = ["how-often", "basket"]
"""


def asked(text):
    """The lines of every question, by its id."""
    return {question.id: describe_question(question) for question in Survey.parse(text).questions}


def test_a_short_question_is_one_line_with_the_meaning_of_every_segment(lab):
    """It also says to which range an edge belongs, and who is in the last segment."""
    assert asked(lab.text() + QUESTIONS) == {
        "q0": ["q0, by favourite: c1, c2, c3, or other (anything else, or nothing)"],
        "how-often": ["how-often, asked only in combination: rarely (orders is below 2), or often (the rest)"],
        "basket": [
            "basket, by spend / orders: 0-10, 10-50, 50+, or none (below 0, or not a number); 10 itself is in 10-50"
        ],
        "once": ["once, by orders: 1+, or other (below 1, or not a number); 1 itself is in 1+"],
        "both": [
            "both, every combination of how-often and basket: rarely & 0-10, rarely & 10-50, rarely & 50+,"
            " rarely & none, often & 0-10, often & 10-50, often & 50+, or often & none"
        ],
    }


def test_a_long_question_has_a_line_for_every_segment(lab):
    rules = ", ".join(f'{{ id = "s{number}", when = "orders == {number}" }}' for number in range(9))
    edges = ", ".join(map(str, range(0, 90, 10)))
    more = f"""
[[questions]]
id = "rules"
segments = [{rules}, {{ id = "many" }}]
[[questions]]
id = "ranges"
number = "spend"
edges = [{edges}]
"""
    lines = asked(lab.text(categories=13) + more)
    assert lines["q0"] == [
        "q0, by favourite:",
        *(f"- c{number}" for number in range(1, 14)),
        "- other (anything else, or nothing)",
    ]
    assert lines["rules"] == [
        "rules:",
        *(f"- s{number} (orders is {number})" for number in range(9)),
        "- many (the rest)",
    ]
    assert lines["ranges"][0] == "ranges, by spend; 10 itself is in 10-20:"
    assert lines["ranges"][1:3] == ["- 0-10", "- 10-20"]
    assert lines["ranges"][-2:] == ["- 80+", "- other (below 0, or not a number)"]


def test_a_long_cross_has_a_line_for_every_row_of_the_joint_table(lab):
    text = lab.text(questions=2) + '[[questions]]\nid = "both"\ncross = ["q0", "q1"]\n'
    assert asked(text)["both"] == [
        "both, every combination of q0 and q1:",
        "- c1 & c1, c1 & c2, c1 & c3, c1 & other",
        "- c2 & c1, c2 & c2, c2 & c3, c2 & other",
        "- c3 & c1, c3 & c2, c3 & c3, c3 & other",
        "- other & c1, other & c2, other & c3, other & other",
    ]


MANY = """
[[questions]]
id = "how-often"
segments = [{ id = "rarely", when = "orders < 2" }, { id = "often" }]
only_crossed = true
[[questions]]
id = "lately"
segments = [{ id = "yes", when = "orders > 0" }, { id = "no" }]
[[questions]]
id = "spent"
number = "spend"
edges = EDGES
[[questions]]
id = "rules"
segments = RULES
[[questions]]
id = "both"
cross = ["q0", "how-often"]
[[questions]]
id = "all"
cross = ["how-often", "lately", "q0"]
"""


@pytest.mark.parametrize("categories", [13, 60, 500])
def test_everything_that_is_asked_is_shown(lab, categories):
    """Every category and segment of every question is in the text at any width, in the data, and on one line."""
    rules = ", ".join(f'{{ id = "s{number}", when = "orders == {number}" }}' for number in range(categories))
    many = MANY.replace("EDGES", str(list(range(categories)))).replace("RULES", f"[{rules}]")
    survey = Survey.parse(lab.text(categories=categories) + many)
    explanation = explain_survey(survey)
    texts = [explanation.text(width) for width in (20, 60, 100)]
    texts.append(" ".join(line for section in explanation.as_dict()["sections"] for line in section["lines"]))
    texts.append(" ".join(describe_segments(question.form) for question in survey.questions))
    for text in texts:
        words = f" {' '.join(text.replace(',', ' ').replace(';', ' ').split())} "
        for question in survey.questions:
            assert len(question.segments) >= 2
            for segment in question.segments:
                assert f" {segment} " in words, (question.id, segment)
    assert json.loads(json.dumps(explanation.as_dict())) is not None


def test_the_title_of_a_question_comes_first(lab):
    """Customers read the title; the id follows for those who check the survey."""
    text = lab.text() + QUESTIONS.replace('id = "how-often"', 'id = "how-often"\ntitle = "How often you buy"', 1)
    assert asked(text)["how-often"] == [
        "How often you buy (how-often), asked only in combination: rarely (orders is below 2), or often (the rest)"
    ]


def test_every_segment_of_a_form_is_on_one_line_for_a_table(lab):
    survey = Survey.parse(lab.text(categories=30))
    names = ", ".join(f"c{number}" for number in range(1, 31))
    expected = f"by favourite: {names}, or other (anything else, or nothing)"
    assert describe_segments(survey.questions[0].form) == expected
