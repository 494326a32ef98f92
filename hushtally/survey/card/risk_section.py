"""The section of a card about the risks: the method, the ratings with their arithmetic, and what follows."""

from __future__ import annotations

from collections.abc import Sequence

from hushtally.client_sdk.explain.belief import PRIOR
from hushtally.client_sdk.survey import Survey
from hushtally.survey.card.context import Context
from hushtally.survey.card.document import Block, Items, Paragraph, Section, Table
from hushtally.survey.card.field import SEVERITY
from hushtally.survey.card.rating import HIGH, LIKELIHOODS, MEDIUM, PRIOR_AUTHORITY, Level, Rating
from hushtally.survey.card.risk import RatedRisk, rated_risks, residual_high


def risk_section(survey: Survey, context: Context) -> Section:
    """Every risk with its size, its measures, and its ratings before and after them."""
    rated = rated_risks(survey, context)
    severity = [(field.title, context.answer(field)) for field in SEVERITY.fields]
    described = [
        (one.risk.risk, one.risk.size or "described by people", one.risk.measures.replace("\n", " ")) for one in rated
    ]
    scores = [(one.risk.risk, _shown(one.before), _shown(one.after), one.source) for one in rated]
    return Section(
        SEVERITY.title,
        (
            Table("Risks and measures", ("Risk", "Size", "What limits it"), described),
            Paragraph("How risks are rated:"),
            Items(_method()),
            Table(f"{SEVERITY.title}, as answered", ("Question", "Answer"), severity),
            Table("Ratings", ("Risk", "Before the measures", "After the measures", "Source"), scores),
            *_totals(rated),
            *_conclusion(rated),
        ),
    )


def _method() -> list[str]:
    levels = ", ".join(f"{level.word} ({level})" for level in Level)
    bounds = "; ".join(f"{level.word} up to {largest:.0%}" for largest, level in LIKELIHOODS)
    return [
        f"Likelihood and severity each have a level: {levels}.",
        f"The score is likelihood × severity. It is low below {MEDIUM}, medium below {HIGH}, and high from {HIGH} on.",
        "Before the measures, answers would be stored as they are: an observer reads them, so the likelihood of a"
        f" disclosure is {Level.MAXIMUM.word} ({Level.MAXIMUM}).",
        "After the measures, this likelihood follows from the largest belief of an observer who sees reports worth"
        f" epsilon and believed {PRIOR:.0%} before: prior / (prior + (1 − prior) × e^−epsilon), rounded up. It is"
        f" {bounds}; {Level.MAXIMUM.word} above. This assumes that the observer has linked all of these reports.",
        "The severity of a disclosure is what people answered, before and after the measures.",
        "People rate every other risk.",
    ]


def _shown(rating: Rating | None) -> str:
    return "not rated" if rating is None else str(rating)


def _totals(rated: Sequence[RatedRisk]) -> list[Block]:
    unrated = [one.risk.id for one in rated if one.after is None]
    if unrated:
        return [Paragraph(f"The total is not computed, because these risks are not rated: {', '.join(unrated)}.")]
    before = [one.before.score for one in rated if one.before]
    after = [one.after.score for one in rated if one.after]
    return [
        Paragraph(f"Total before the measures: {' + '.join(map(str, before))} = {sum(before)}"),
        Paragraph(f"Total after the measures: {' + '.join(map(str, after))} = {sum(after)}"),
    ]


def _conclusion(rated: Sequence[RatedRisk]) -> list[Block]:
    high = residual_high(rated)
    if high:
        names = ", ".join(one.risk.id for one in high)
        return [Paragraph(f"Residual high risk ({names}): {PRIOR_AUTHORITY} before the survey begins.", strong=True)]
    if any(one.after is None for one in rated):
        return [Paragraph("Whether a high risk remains is open until every risk is rated.")]
    return [Paragraph("No high risk remains after the measures.")]
