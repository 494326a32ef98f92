"""A survey explained: what it asks and reveals, for customers before they consent, and for those who check it."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Self

from hushtally.client_sdk.explain.data_use import (
    DEVICE,
    computed_signals,
    data_after_withdrawal,
    sent_data,
    stored_data,
)
from hushtally.client_sdk.explain.disclosure import observer_conclusions
from hushtally.client_sdk.explain.segments import describe_question
from hushtally.client_sdk.explain.status import SurveyStatus
from hushtally.client_sdk.explain.wording import counted
from hushtally.client_sdk.mechanisms import Rappor, optimal_mean_variance
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.questions import Question

WIDTH = 100  # columns of the printed text


@dataclass(frozen=True)
class Section:
    """A heading and the lines below it. A line that begins with "- " is an item of the list above it."""

    heading: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Explanation:
    """A survey in plain language. Print it, or build a page from `as_dict`."""

    title: str
    sections: tuple[Section, ...]

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The explanations of several surveys, one after the other."""
        if len(parts) == 1:
            return parts[0]
        return cls(" · ".join(part.title for part in parts), tuple(one for part in parts for one in part.sections))

    def __str__(self) -> str:
        return self.text()

    def text(self, width: int = WIDTH) -> str:
        """The whole explanation as text, with lines wrapped at `width` columns; width >= 20."""
        parts = [_wrap(self.title, width, indent=0)]
        for section in self.sections:
            lines = (_wrap(line, width, indent=4 if line.startswith("- ") else 2) for line in section.lines)
            parts.append("\n".join([section.heading, *lines]))
        return "\n\n".join(parts)

    def as_dict(self) -> dict[str, object]:
        """The whole explanation as JSON-ready data: `title`, and `sections` with `heading` and `lines`."""
        return asdict(self)


def explain_survey(
    survey: Survey, status: SurveyStatus | None = None, *, stopped: str | None = None, technical: bool = False
) -> Explanation:
    """The survey in plain language, as a customer can read it before consenting.

    status: adds how the survey stands on one device. stopped: the reason why this device does nothing at all; without a
    status if the state file cannot be read. technical: adds how each question is randomized.
    """
    about = (
        f"Purpose: {survey.purpose}",
        f"Owner: {survey.owner}",
        f"Period: {survey.starts} to {survey.ends}, by {survey.epoch}",
        f"The counts of a {survey.epoch} are deleted {counted(survey.retention_days, 'day')} after the next"
        f" {survey.epoch} ends. Nothing is published from fewer than {counted(survey.min_reports, 'report')}.",
    )
    sections = [
        Section("About this survey", about),
        Section("What the device stores and never sends", (DEVICE, *stored_data(survey), *computed_signals(survey))),
        Section("What is asked", tuple(line for one in survey.questions for line in describe_question(one))),
        Section("What the device sends", tuple(sent_data(survey))),
        Section("What an observer can learn", tuple(observer_conclusions(survey))),
        Section("What you can do", tuple(customer_choices(survey))),
    ]
    if status or stopped:
        sections.append(Section("On this device", tuple(_device_status(survey, status, stopped))))
    if technical:
        sections.append(Section("Technical details: how answers are randomized", tuple(_technical_details(survey))))
    return Explanation(f"{survey.title} ({survey.name})", tuple(sections))


def customer_choices(survey: Survey) -> list[str]:
    """What a customer can do, and what a withdrawal does not undo."""
    lines = [
        "Nothing is recorded or sent before you agree. You can withdraw at any time: this erases what was recorded or"
        " waits to be sent.",
        data_after_withdrawal(survey),
    ]
    unnamed = "" if any(question.linkable for question in survey.asked) else ", which name no device,"
    lines.append(f"What was sent stays in the counts{unnamed} until they are deleted.")
    if survey.permanent:
        lines.append("To agree again after a withdrawal has no effect: the answers were erased.")
    return lines


def _device_status(survey: Survey, status: SurveyStatus | None, stopped: str | None) -> list[str]:
    if status is None:
        return [
            f"Nothing is recorded or sent: {stopped}.",
            "You can agree or withdraw only when this is solved.",
        ]
    spent = f"Privacy budget spent: {'up to ' if survey.permanent else ''}epsilon {status.spent:g}"
    if stopped:
        return [f"Nothing is recorded or sent: {stopped}.", f"{spent}."]
    if status.consent:
        silent = [f"The device does not answer: {status.silent}."] if status.silent else []
        coming = [f"The next answer is in {status.next}."] if status.next else []
        return ["You agreed.", *silent, *coming, f"{spent} of at most {status.budget:g}."]
    if status.withdrew:
        return ["You withdrew: nothing is recorded or sent.", f"{spent}."]
    more = " more" if status.spent else ""
    return [
        "You have not agreed: nothing is recorded or sent.",
        f"{spent}. If you agree, at most epsilon {survey.lifetime_epsilon:g}{more} is spent.",
    ]


def _technical_details(survey: Survey) -> list[str]:
    return [
        "p is the probability that a report supports the true segment; q, that it supports another segment.",
        *(f"{question.id}: {_randomization(question)}" for question in survey.asked),
    ]


def _randomization(question: Question) -> str:
    """How the answers to a question are randomized, and the cost in accuracy."""
    mechanism = question.mechanism
    size = math.ceil((mechanism.symbols - 1).bit_length() / 8)
    cost = mechanism.mean_variance() / optimal_mean_variance(mechanism.domain, question.epsilon)
    least = "at least " if isinstance(mechanism, Rappor) else ""  # values that share a bit cost more
    permanent = question.epsilon_permanent
    memory = "" if permanent is None else f" ({permanent:g} for all reports of one answer)"
    return (
        f"{mechanism.label}, epsilon {question.epsilon:g}{memory}:"
        f" p {mechanism.channel.p:.4f}, q {mechanism.channel.q:.4f}, {mechanism.symbols:,} symbols"
        f" ({counted(size, 'byte')}), variance {least}{cost:.3f} times the optimum"
    )


def _wrap(line: str, width: int, *, indent: int) -> str:
    """The line with every word whole, later lines indented by two columns more."""
    return textwrap.fill(
        line,
        width,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + 2 if indent else 0),
        break_long_words=False,
        break_on_hyphens=False,
    )
