"""The section of a card about the mechanisms, and about what an observer can conclude."""

from __future__ import annotations

from hushtally.client_sdk.explain.disclosure import observer_conclusions, reveals_changes
from hushtally.client_sdk.survey import Survey
from hushtally.survey.card.document import Items, Paragraph, Section, Table


def guarantee_section(survey: Survey) -> Section:
    """How answers are randomized, and what follows."""
    rows = [
        (
            question.id,
            question.mechanism.label,
            f"{question.epsilon:g}"
            if question.epsilon_permanent is None
            else f"{question.epsilon:g} / {question.epsilon_permanent:g}",
            f"{question.mechanism.channel.p:.4f}",
            f"{question.mechanism.channel.q:.4f}",
            f"{question.mechanism.symbols:,}",
        )
        for question in survey.asked
    ]
    changes = " This bounds what was answered. It does not bound whether and when an answer changed."
    second = " The second epsilon is for all reports of one unchanged answer together."
    return Section(
        "Privacy guarantee",
        (
            Paragraph(
                "Local differential privacy: the device randomizes each answer before it sends anything. No report is"
                " more than e^epsilon times as likely under one answer as under another. All reports of this version"
                f" from one device together are bounded by epsilon {survey.lifetime_epsilon:g}, whatever the collector"
                f" does.{changes if reveals_changes(survey) else ''} The app's max_lifetime_epsilon, if set, bounds"
                " what one device reveals in all versions and surveys. Nothing bounds what several devices of one"
                " person reveal."
            ),
            Table("Mechanisms", ("Question", "Mechanism", "Epsilon", "p", "q", "Symbols"), rows),
            Paragraph(
                "p is the probability that a report supports the true segment; q, that it supports another segment."
                f"{second if survey.permanent else ''}"
            ),
            Paragraph("What an observer can conclude:"),
            Items(observer_conclusions(survey)),
        ),
    )
