"""Whether a card can be signed: open questions are counted, and contradictions are named."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from card_context import PERMANENT, RATING, SURVEY, answers, read
from hushtally.client_sdk.survey import Survey
from hushtally.survey.card.card import card
from hushtally.survey.card.context import Context
from hushtally.survey.card.document import Paragraph
from hushtally.survey.card.field import all_fields
from hushtally.survey.card.readiness import Readiness
from hushtally.survey.card.risk import rated_by_people


@pytest.fixture(scope="module")
def survey() -> Survey:
    return Survey.parse(SURVEY)


def approved(survey: Survey, table: dict[str, Any], on: str = "2026-10-30") -> dict[str, Any]:
    """The table with a signature for its content."""
    return table | {"approval": {"on": on, "digest": read(survey, table).digest(survey)}}


def test_without_answers_everything_is_open(survey: Survey) -> None:
    """Two questions depend on other answers, so they are not counted yet."""
    readiness = Readiness.of(survey, Context())
    expected = len(list(all_fields())) - 2 + len(rated_by_people(survey))
    assert len(readiness.unanswered) == readiness.fields == expected
    assert str(readiness) == f"{expected} of {expected} fields are not answered: not ready to sign"


def test_one_open_question_is_enough(survey: Survey) -> None:
    table = answers(survey)
    del table["benefits"]
    readiness = Readiness.of(survey, read(survey, table))
    assert readiness.unanswered == ("benefits",)
    assert str(readiness) == f"1 of {readiness.fields} fields is not answered: not ready to sign"


def test_a_risk_that_is_not_rated_is_an_open_question(survey: Survey) -> None:
    table = answers(survey)
    del table["risks"]["linking"]
    assert Readiness.of(survey, read(survey, table)).unanswered == ("risks.linking",)


def test_permanent_memory_adds_a_question() -> None:
    permanent = Survey.parse(PERMANENT)
    assert "risks.changes" in Readiness.of(permanent, Context()).unanswered


def test_the_count_is_at_the_top_of_the_card(survey: Survey) -> None:
    table = answers(survey)
    del table["benefits"], table["risks"]["loss"]
    opening = card(survey, read(survey, table)).opening
    assert opening[0] == Paragraph("2 of 62 fields are not answered: not ready to sign.", strong=True)
    assert opening[1] == Paragraph("Not answered: benefits, risks.loss.")


def test_a_complete_card_is_ready_to_sign(survey: Survey) -> None:
    context = read(survey, answers(survey))
    readiness = Readiness.of(survey, context)
    assert readiness.ready
    assert str(readiness) == f"all {readiness.fields} fields are answered: ready to sign"
    assert card(survey, context).opening[0] == Paragraph(
        f"All {readiness.fields} fields are answered: ready to sign.", strong=True
    )


def test_a_signed_card_states_its_approval(survey: Survey) -> None:
    context = read(survey, approved(survey, answers(survey)))
    readiness = Readiness.of(survey, context)
    assert str(readiness) == f"all {readiness.fields} fields are answered: approved on 2026-10-30"
    line = f"Approved on 2026-10-30 for the card with the digest {context.digest(survey)}."
    assert Paragraph(line, strong=True) in card(survey, context).sections[-1].blocks


@pytest.mark.parametrize(
    "change",
    [
        {"benefits": "More sales."},
        {"keep_consent": True},
        {"max_lifetime_epsilon": 99.0},
        {"dpo": {"not_applicable": "We have none."}},
        {"review_on": "2027-01-01"},
        {"risks": {}},
        {"other_risks": [RATING | {"risk": "The shop is sold.", "measures": "A contract."}]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_approval_is_for_one_content(survey: Survey, change: dict[str, Any]) -> None:
    """After any change of an answer, nobody can show the old signature."""
    table = approved(survey, answers(survey))
    readiness = Readiness.of(survey, read(survey, table | change))
    assert readiness.approval is None
    assert not readiness.ready
    assert any("is for another content" in one for one in readiness.contradictions)


def test_an_approval_is_for_one_survey(survey: Survey) -> None:
    changed = Survey.parse(SURVEY.replace("epsilon = 1.0", "epsilon = 1.1"))
    context = read(changed, approved(survey, answers(survey)))
    assert str(Readiness.of(changed, context)) == (
        "all 62 fields are answered, but the approval of 2026-10-30 is for another content: the survey or an answer"
        " changed since then; sign again: not ready to sign"
    )


def test_the_approval_itself_does_not_change_the_digest(survey: Survey) -> None:
    before = read(survey, answers(survey))
    after = read(survey, approved(survey, answers(survey)))
    assert before.digest(survey) == after.digest(survey)


@pytest.mark.parametrize("decision", ["approved", "approved with conditions"])
def test_a_high_residual_risk_contradicts_an_approval(survey: Survey, decision: str) -> None:
    table = answers(survey) | {"severity": "maximum", "decision": decision}
    readiness = Readiness.of(survey, read(survey, table))
    assert readiness.contradictions == (
        f"the decision is '{decision}' although the risk disclosure stays high; consult the supervisory authority"
        " (GDPR art. 36)",
    )
    assert str(readiness).endswith(": not ready to sign")


@pytest.mark.parametrize("decision", ["consult the supervisory authority", "rejected"])
def test_a_high_residual_risk_is_no_contradiction_of_other_decisions(survey: Survey, decision: str) -> None:
    table = answers(survey) | {"severity": "maximum", "decision": decision}
    assert Readiness.of(survey, read(survey, table)).ready


def test_the_review_is_due_on_the_last_day_unless_people_choose_another(survey: Survey) -> None:
    assert Context().review_due(survey) == survey.ends
    assert read(survey, {"review_on": "2026-12-24"}).review_due(survey) == date(2026, 12, 24)
