"""The score of a risk: its arithmetic, its bands, and the likelihood that follows from an epsilon."""

from __future__ import annotations

import math

import pytest

from card_context import SURVEY, answers, read
from hushtally.client_sdk.survey import Survey
from hushtally.survey.card.card import card
from hushtally.survey.card.context import Context
from hushtally.survey.card.document import Items, Paragraph, Table
from hushtally.survey.card.rating import Level, Rating, disclosure_formula, disclosure_likelihood
from hushtally.survey.card.risk import rated_by_people, rated_risks, residual_high, risks


@pytest.fixture(scope="module")
def survey() -> Survey:
    return Survey.parse(SURVEY)


def shown(survey: Survey, context: Context) -> list[str]:
    """The lines and rows of the section about risks."""
    [section] = [one for one in card(survey, context).sections if one.heading == "Risks"]
    lines: list[str] = []
    for block in section.blocks:
        match block:
            case Paragraph(text):
                lines.append(text)
            case Items(items):
                lines += items
            case Table() as table:
                lines += [" | ".join(row) for row in table.rows]
    return lines


@pytest.mark.parametrize(
    ("likelihood", "severity", "text"),
    [
        (1, 3, "negligible (1) × significant (3) = 3, low"),
        (2, 2, "limited (2) × limited (2) = 4, medium"),
        (2, 3, "limited (2) × significant (3) = 6, medium"),
        (2, 4, "limited (2) × maximum (4) = 8, high"),
        (3, 3, "significant (3) × significant (3) = 9, high"),
        (4, 4, "maximum (4) × maximum (4) = 16, high"),
    ],
)
def test_a_rating_shows_its_arithmetic(likelihood: int, severity: int, text: str) -> None:
    rating = Rating(Level(likelihood), Level(severity))
    assert str(rating) == text
    assert rating.score == likelihood * severity
    assert rating.high is text.endswith("high")


@pytest.mark.parametrize(
    ("epsilon", "level"),
    [(0.1, 1), (1.0, 1), (1.2, 2), (2.0, 2), (2.3, 3), (3.0, 3), (4.0, 3), (4.5, 4), (8.0, 4), (800.0, 4)],
)
def test_the_likelihood_of_a_disclosure_follows_from_the_bound_on_belief(epsilon: float, level: int) -> None:
    """The posterior of someone who was 10% sure: up to 25%, 50% and 90%."""
    posterior = 0.1 * math.exp(epsilon) / (0.1 * math.exp(epsilon) + 0.9) if epsilon < 700 else 1.0
    assert sum(posterior > bound for bound in (0.25, 0.5, 0.9)) + 1 == level
    assert disclosure_likelihood(epsilon) == level


def test_the_formula_contains_the_numbers_of_the_survey() -> None:
    assert disclosure_formula(2.0) == "0.1 / (0.1 + 0.9 × e^−2) = 46%"


def test_the_card_rates_a_disclosure_from_the_lifetime_epsilon(survey: Survey) -> None:
    """Epsilon 2 means a belief of at most 46%: limited. Before, an observer would simply read the answer."""
    rows = shown(survey, read(survey, answers(survey)))
    [row] = [row for row in rows if row.startswith("An observer collects all") and "×" in row]
    assert row.endswith(
        "| maximum (4) × limited (2) = 8, high | limited (2) × limited (2) = 4, medium"
        " | Computed: 0.1 / (0.1 + 0.9 × e^−2) = 46%"
    )


def test_a_rating_by_people_states_their_reason(survey: Survey) -> None:
    rows = shown(survey, read(survey, answers(survey)))
    [row] = [row for row in rows if row.startswith("Forged reports") and "×" in row]
    assert row.endswith(
        "| significant (3) × significant (3) = 9, high | limited (2) × limited (2) = 4, medium"
        " | Rated by people: few people could do this"
    )


def test_the_totals_are_the_sums_of_the_scores(survey: Survey) -> None:
    context = read(survey, answers(survey))
    rows = shown(survey, context)
    for when, name in (("before", "before"), ("after", "after")):
        [line] = [row for row in rows if row.startswith(f"Total {when} the measures: ")]
        terms, _, total = line.partition(": ")[2].partition(" = ")
        scores = [getattr(one, name).score for one in rated_risks(survey, context)]
        assert [int(term) for term in terms.split(" + ")] == scores
        assert int(total) == sum(scores)


def test_a_total_is_not_computed_while_a_risk_is_not_rated(survey: Survey) -> None:
    """A sum without a part would look better than it is."""
    table = answers(survey)
    del table["risks"]["loss"]
    rows = shown(survey, read(survey, table))
    assert "The total is not computed, because these risks are not rated: loss." in rows
    assert "Whether a high risk remains is open until every risk is rated." in rows
    assert not [row for row in rows if row.startswith("Total")]
    [row] = [row for row in rows if row.startswith("Counts or a state file") and "rated" in row]
    assert row.endswith("| not rated | not rated | NOT ANSWERED: rate this risk in [card.risks.loss]")


def test_a_disclosure_is_not_rated_before_people_rate_its_severity(survey: Survey) -> None:
    table = answers(survey)
    del table["severity"]
    rows = shown(survey, read(survey, table))
    assert "The total is not computed, because these risks are not rated: disclosure, delivery." in rows


def test_a_residual_high_risk_sends_people_to_the_authority(survey: Survey) -> None:
    table = answers(survey) | {"severity": "maximum", "decision": "consult the supervisory authority"}
    context = read(survey, table)
    assert [one.risk.id for one in residual_high(rated_risks(survey, context))] == ["disclosure"]
    line = "Residual high risk (disclosure): consult the supervisory authority (GDPR art. 36) before the survey begins."
    assert line in shown(survey, context)
    assert line not in shown(survey, read(survey, answers(survey)))
    assert "No high risk remains after the measures." in shown(survey, read(survey, answers(survey)))


def test_a_high_risk_is_reported_although_another_is_not_rated(survey: Survey) -> None:
    table = answers(survey) | {"severity": "maximum"}
    del table["risks"]["loss"]
    assert any(row.startswith("Residual high risk (disclosure)") for row in shown(survey, read(survey, table)))


def test_risks_that_people_add_count(survey: Survey) -> None:
    own = {
        "risk": "The shop is sold.",
        "measures": "A contract.",
        "before": {"likelihood": "limited", "severity": "maximum"},
        "after": {"likelihood": "limited", "severity": "maximum"},
        "reason": "The owners are old.",
    }
    rows = shown(survey, read(survey, answers(survey) | {"other_risks": [own]}))
    assert "The shop is sold. | described by people | A contract." in rows
    assert any(row.startswith("Residual high risk (other_risks[0])") for row in rows)


def test_the_risk_of_cohorts_is_negligible_without_cohorts() -> None:
    survey = Survey.parse(SURVEY.replace('platform = ["web", "ios", "android"]', ""))
    assert "cohorts" not in {risk.id for risk in rated_by_people(survey)}
    rows = shown(survey, read(survey, answers(survey)))
    assert any(
        "negligible (1) × limited (2) = 2, low | Computed: nothing about a customer is sent" in row for row in rows
    )


def test_the_ceiling_of_the_app_bounds_the_risk_of_later_surveys(survey: Survey) -> None:
    rows = shown(survey, read(survey, answers(survey) | {"max_lifetime_epsilon": 4}))
    size = (
        "each adds its own lifetime epsilon; with epsilon 4, an observer who was 10% sure of a segment is at most 86%"
    )
    assert any(size in row for row in rows)


def test_the_three_events_that_every_assessment_covers_are_risks(survey: Survey) -> None:
    """Illegitimate access, unwanted modification, and disappearance of data; and no two risks have one id."""
    ids = [risk.id for risk in risks(survey, Context())]
    assert {"disclosure", "device_access", "modification", "loss"} <= set(ids)
    assert len(ids) == len(set(ids))


def test_the_forgery_figure_is_that_of_the_worst_question(survey: Survey) -> None:
    """(1 - q) / (p - q) is 2.7 for direct response to 4 values at epsilon 1, and 3.0 for subset selection of 8."""
    size = "3.0 points for each percent of forged reports (frequency_x_returned)"
    assert any(row.startswith(f"Forged reports shift a result | {size} |") for row in shown(survey, Context()))
