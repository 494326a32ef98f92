"""The card of a survey: a data protection impact assessment (DPIA), filled in from the survey and its context."""

from __future__ import annotations

from hushtally.client_sdk.explain.data_use import data_after_withdrawal
from hushtally.client_sdk.survey import Survey
from hushtally.survey.card.context import Context
from hushtally.survey.card.document import Block, Document, Items, Paragraph, Section, Signatures, Table
from hushtally.survey.card.field import (
    ASSESSMENT,
    CONSULTATION,
    DECISION,
    MEASURES,
    NECESSITY,
    PARTIES,
    PEOPLE,
    RIGHTS,
    Group,
    all_fields,
)
from hushtally.survey.card.guarantee import guarantee_section
from hushtally.survey.card.measures import enforced_measures
from hushtally.survey.card.place import access_to_events
from hushtally.survey.card.processing import data_section, questions_section
from hushtally.survey.card.readiness import Readiness
from hushtally.survey.card.risk import describe_lifetime_epsilon
from hushtally.survey.card.risk_section import risk_section


def card(survey: Survey, context: Context) -> Document:
    """The card of a survey."""
    return Document(
        f"Data protection impact assessment: {survey.title}",
        tuple(_opening(survey, context)),
        (
            _asked(ASSESSMENT, context),
            _asked(PARTIES, context),
            _asked(PEOPLE, context),
            data_section(survey, context),
            questions_section(survey),
            guarantee_section(survey),
            _asked(NECESSITY, context, Table("Purpose", ("Field", "Value"), [("Purpose", survey.purpose)])),
            _asked(RIGHTS, context, _rights(survey, context)),
            _measures(survey, context),
            risk_section(survey, context),
            _asked(CONSULTATION, context),
            _decision(survey, context),
        ),
    )


def asked_table(group: Group, context: Context) -> Table:
    """The questions of a group with their answers. A question that depends on another answer may be left out."""
    asked = set(context.asked())
    rows = [
        (field.title, context.answer(field)) for field in group.fields if field in asked or field.key in context.answers
    ]
    return Table(f"{group.title}, as answered", ("Question", "Answer"), rows)


def _asked(group: Group, context: Context, *before: Block) -> Section:
    return Section(group.title, (*before, asked_table(group, context)))


def _opening(survey: Survey, context: Context) -> list[Block]:
    readiness = Readiness.of(survey, context)
    text = str(readiness)
    opening: list[Block] = [Paragraph(f"{text[0].upper()}{text[1:]}.", strong=True)]
    if readiness.unanswered:
        opening.append(Paragraph(f"Not answered: {', '.join(readiness.unanswered)}."))
    facts = [
        ("Survey", survey.title),
        ("Id and version", survey.name),
        ("Digest of the survey", survey.digest),
        ("Digest of this card", context.digest(survey)),
        ("Owner", survey.owner),
        ("Period", f"{survey.starts} to {survey.ends}, by {survey.epoch}"),
        ("Epsilon of one report", ", ".join(sorted({f"{question.epsilon:g}" for question in survey.asked}))),
        ("Epsilon of one delivery", f"{survey.delivery_epsilon:g}"),
        ("Lifetime epsilon (all reports of this version from one device)", describe_lifetime_epsilon(survey)),
        (
            "Memory",
            "permanent: the randomized answer to a value is stored and reused"
            if survey.permanent
            else "fresh: every answer is randomized anew",
        ),
    ]
    return [
        *opening,
        Table("Overview", ("Fact", "Value"), facts),
        Paragraph('Lists that say "you" quote the consent text: "you" is the customer.'),
    ]


def _rights(survey: Survey, context: Context) -> Table:
    last = survey.erased_on(survey.epoch.label(survey.ends))
    rows = [
        (
            "Information",
            "Before people agree, the app can show the consent text: purpose, owner, every question in full, what is"
            " stored, what is sent, and what an observer can conclude.",
        ),
        (
            "Consent and withdrawal",
            "Without consent, nothing is recorded or sent. Each consent has a receipt: the time, the digest of the"
            " survey, and the text that was shown. A withdrawal takes effect at once."
            f" {data_after_withdrawal(survey)}",
        ),
        ("Access and erasure: recorded events", access_to_events(context.device)),
        (
            "Access and erasure: counts",
            "A count names no person and no device, so the operator cannot find a person's reports (GDPR art. 11)."
            f" Counts are deleted on schedule, the last of them on {last}.",
        ),
        ("Objection", "A withdrawal, or DO_NOT_TRACK=1, ends all recording and sending."),
        (
            "Automated decisions (GDPR art. 22)",
            "hushtally decides nothing about a single person: its results are shares of groups.",
        ),
    ]
    return Table("What the software provides", ("Right", "What the software provides"), rows)


def _measures(survey: Survey, context: Context) -> Section:
    rows = [(one.measure, "\n".join(one.demonstrated)) for one in enforced_measures(survey)]
    enforced = Table("Measures that the software enforces", ("Measure", "Demonstrated in"), rows)
    return _asked(MEASURES, context, enforced)


def _decision(survey: Survey, context: Context) -> Section:
    answers = {field.key: context.answer(field) for field in all_fields()}
    review = Table(
        "Review",
        ("Field", "Value"),
        [("Review due on", f"{context.review_due(survey)}, and before the survey is renewed or changed in any way")],
    )
    people = [
        ("Approves the measures", answers["approver"]),
        ("Accepts the residual risks", answers["risks_accepted_by"]),
        ("Gave advice as data protection officer", answers["dpo"]),
    ]
    blocks = (asked_table(DECISION, context), review, *_approval(survey, context), Signatures(people))
    return Section(DECISION.title, blocks)


def _approval(survey: Survey, context: Context) -> list[Block]:
    approval = Readiness.of(survey, context).approval
    if approval:
        return [Paragraph(f"Approved on {approval.on} for the card with the digest {approval.digest}.", strong=True)]
    return [
        Items(
            [
                "This card is not approved.",
                "After it is signed, record the day of the signature and the digest of this card in [card.approval].",
            ]
        )
    ]
