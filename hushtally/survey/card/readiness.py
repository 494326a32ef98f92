"""Whether a card can be signed: the open questions, and the statements that contradict each other."""

from __future__ import annotations

from dataclasses import dataclass

from hushtally.client_sdk.explain.wording import counted
from hushtally.client_sdk.survey import Survey
from hushtally.survey.card.context import Approval, Context
from hushtally.survey.card.field import Decision
from hushtally.survey.card.rating import PRIOR_AUTHORITY
from hushtally.survey.card.risk import rated_by_people, rated_risks, residual_high


@dataclass(frozen=True)
class Readiness:
    """How far a card is.

    unanswered: the keys of the open questions. fields: the number of all questions. contradictions: what must be
    resolved before anyone signs. approval: a recorded signature for exactly this content.
    """

    unanswered: tuple[str, ...]
    fields: int
    contradictions: tuple[str, ...]
    approval: Approval | None

    @classmethod
    def of(cls, survey: Survey, context: Context) -> Readiness:
        """The readiness of the card of this survey with these answers."""
        keys = [field.key for field in context.asked()]
        ratings = [risk.id for risk in rated_by_people(survey)]
        unanswered = [key for key in keys if key not in context.answers]
        unanswered += [f"risks.{id}" for id in ratings if id not in context.ratings]
        approval = context.approval
        valid = approval if approval and approval.digest == context.digest(survey) else None
        contradictions = tuple(_contradictions(survey, context))
        return cls(tuple(unanswered), len(keys) + len(ratings), contradictions, valid)

    @property
    def ready(self) -> bool:
        """Whether nothing is open."""
        return not self.unanswered and not self.contradictions

    def __str__(self) -> str:
        if self.unanswered:
            verb = "is" if len(self.unanswered) == 1 else "are"
            return f"{len(self.unanswered)} of {counted(self.fields, 'field')} {verb} not answered: not ready to sign"
        if self.contradictions:
            return f"all {self.fields} fields are answered, but {'; '.join(self.contradictions)}: not ready to sign"
        if self.approval:
            return f"all {self.fields} fields are answered: approved on {self.approval.on}"
        return f"all {self.fields} fields are answered: ready to sign"


def _contradictions(survey: Survey, context: Context) -> list[str]:
    found = []
    decision = context.answers.get("decision")
    high = residual_high(rated_risks(survey, context))
    if high and decision in (Decision.APPROVED, Decision.CONDITIONAL):
        found.append(
            f"the decision is {str(decision)!r} although {_listed([one.risk.id for one in high])} stays high;"
            f" {PRIOR_AUTHORITY}"
        )
    if context.approval and context.approval.digest != context.digest(survey):
        found.append(
            f"the approval of {context.approval.on} is for another content: the survey or an answer changed since"
            " then; sign again"
        )
    return found


def _listed(ids: list[str]) -> str:
    return f"the risk {ids[0]}" if len(ids) == 1 else f"each of the risks {', '.join(ids)}"
