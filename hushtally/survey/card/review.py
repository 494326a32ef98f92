"""What `survey check` says about the card of a survey: how far it is, and when it has to be reviewed."""

from __future__ import annotations

from datetime import date

from hushtally.client_sdk.survey import Survey
from hushtally.survey.card.context import Context
from hushtally.survey.card.readiness import Readiness


def card_warnings(survey: Survey, context: Context, today: date) -> list[str]:
    """One line, beginning with its place, for a review that is overdue and for an approval of other content."""
    lines = []
    due, approval = context.review_due(survey), context.approval
    if due < today:
        lines.append(
            f"card.review_on: the review was due on {due}; review the card, set a later date, and sign it again"
        )
    if approval and Readiness.of(survey, context).approval is None:
        lines.append(
            f"card.approval: the card that was approved on {approval.on} had other content; write the card again, and"
            " sign it again"
        )
    return lines


def card_status(survey: Survey, context: Context, today: date) -> list[str]:
    """How far the card is, its digest once it is complete, and when the review is due unless that day is over."""
    due, readiness = context.review_due(survey), Readiness.of(survey, context)
    lines = [str(readiness)]
    if readiness.ready:
        lines.append(f"the digest of the card is {context.digest(survey)}")
    if today <= due:
        lines.append(f"the review is due on {due}")
    return lines
