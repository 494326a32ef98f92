"""explain(): what is asked and what it reveals, in plain language, as text and as data."""

import json
import math

import pytest

from client_sdk import Survey
from client_sdk.explain import explain_survey, largest_belief


def sections(explanation):
    return {section.heading: section.lines for section in explanation.sections}


@pytest.mark.parametrize("prior", [0.001, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("epsilon", [0.0, 0.5, 1.0, 7.0])
def test_the_belief_is_that_of_bayes(prior, epsilon):
    e = math.exp(epsilon)
    assert largest_belief(prior, epsilon) == pytest.approx(prior * e / (prior * e + 1 - prior))


def test_the_example_for_epsilon_1_and_lifetime_2(lab):
    """45% over the whole survey, 23% from one report; the whole survey comes first."""
    survey = lab.survey(ends="2026-11-03")
    assert survey.lifetime_epsilon == 2
    found = sections(explain_survey(survey))["What an observer could conclude"]
    assert found == (
        "If 10% of customers are in a segment, whoever keeps all reports of a device can be at most 45% sure that its"
        " owner is one of them: epsilon 2 over the whole survey.",
        "From one report, whatever the question: 23% (epsilon 1).",
    )


def test_it_says_what_why_by_whom_until_when_and_what_leaves(lab):
    text = " ".join(str(lab.client(lab.survey(questions=4, each=2, every=5)).explain()).split())
    for part in (
        "Habits (habits v1)",
        "Why: To see what is bought.",
        "Who: owner@shop.example",
        "When: 2026-11-02 to 2026-11-21, by day",
        "Counts are deleted 30 days after their day closes; nothing is published from fewer than 100 reports.",
        "q3: one of c1, c2, c3, other",
        "purchase: the day, amount, category; for 5 days at most.",
        "A device answers 2 of the 4 questions, in one day in 5, at most 4 times in all",
        "In the clear: platform (web, ios).",
        "Nothing is recorded or sent before you agree",
        "The customer agreed.",
        "Spent: epsilon 0 of at most 8.",
    ):
        assert part in text, part


def test_it_tells_the_state_of_this_device(lab):
    client = lab.client(agreed=False)
    here = sections(client.explain())["On this device"]
    assert here == (
        "The customer has not agreed: nothing is recorded or sent.",
        "Silent: the customer has not agreed.",
        "Spent: epsilon 0 of at most 0.",
    )
    client.grant_consent()
    lab.live(client, 3)
    assert sections(client.explain())["On this device"] == (
        "The customer agreed.",
        "Spent: epsilon 3 of at most 20.",
    )


def test_it_is_data_for_a_settings_page(lab):
    explanation = lab.client().explain()
    data = json.loads(json.dumps(explanation.as_dict()))
    assert data["title"] == "Habits (habits v1)"
    assert [section["heading"] for section in data["sections"]] == [one.heading for one in explanation.sections]
    assert all(line in " ".join(str(explanation).split()) for one in data["sections"] for line in one["lines"])


def test_questions_with_an_epsilon_of_their_own_are_told_apart(lab):
    text = lab.text(questions=2).replace('id = "q1"', 'id = "q1"\nepsilon = 0.5')
    found = sections(explain_survey(Survey.parse(text)))["What an observer could conclude"]
    assert found[1:] == ("From one report, q0: 23% (epsilon 1).", "From one report, q1: 15% (epsilon 0.5).")


def test_permanent_memory_says_what_it_does_not_hide(lab):
    found = sections(explain_survey(lab.survey(memory="permanent")))
    assert found["What an observer could conclude"][-1].endswith(
        "Whether and when an answer changed it does not hide from whoever can link a device's reports."
    )
    assert "takes part no more" in found["What you can do"][-1]


def test_the_text_fits_a_terminal(lab):
    assert max(map(len, str(explain_survey(lab.survey(memory="permanent", questions=9)))
                   .splitlines())) <= 100  # fmt: skip
