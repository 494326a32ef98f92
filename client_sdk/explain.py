"""What a survey asks and reveals, in plain language: for a customer, a developer and a privacy officer."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from client_sdk.mechanisms import optimal_mean_variance
from client_sdk.questions import Question
from client_sdk.status import SurveyStatus
from client_sdk.survey import Survey

PRIOR = 0.10  # the share of customers for whom the example of what can be concluded is given
MOST_SHOWN = 8  # segments of a question
WIDTH = 100  # columns of the printed text


@dataclass(frozen=True)
class Section:
    """A heading and the sentences under it."""

    heading: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Explanation:
    """A survey in plain language; print it, or build a settings page from `as_dict`."""

    title: str
    sections: tuple[Section, ...]

    def __str__(self) -> str:
        parts = [self.title]
        for section in self.sections:
            parts.append("\n".join([section.heading, *map(_wrapped, section.lines)]))
        return "\n\n".join(parts)

    def as_dict(self) -> dict[str, object]:
        """The same as JSON-ready data: title, and sections with heading and lines."""
        return asdict(self)


def largest_belief(prior: float, epsilon: float) -> float:
    """How sure an observer who was `prior` sure of something can be after reports worth `epsilon` in all.

    prior in [0, 1]; Bayes with the largest likelihood ratio, exp(epsilon).
    """
    return prior / (prior + (1 - prior) * math.exp(-epsilon))


def explain_survey(survey: Survey, status: SurveyStatus | None = None) -> Explanation:
    """The survey in plain language; with `status` also how it stands on one device."""
    about = (
        f"Why: {survey.purpose}",
        f"Who: {survey.owner}",
        f"When: {survey.starts} to {survey.ends}, by {survey.epoch}",
        f"Counts are deleted {survey.retention_days} days after their {survey.epoch} closes;"
        f" nothing is published from fewer than {survey.min_reports:,} reports.",
    )
    sections = [
        Section("What it is", about),
        Section("What is asked", tuple(map(_question, survey.asked))),
        Section("What is kept on the device, and stays there", tuple(kept(survey))),
        Section("What leaves the device", tuple(leaving(survey))),
        Section("What an observer could conclude", tuple(conclusions(survey))),
        Section("How answers are randomized", tuple(f"{one.id}: {randomization(one)}" for one in survey.asked)),
        Section("What you can do", tuple(choices(survey))),
    ]
    if status is not None:
        sections.append(Section("On this device", tuple(_standing(status))))
    return Explanation(f"{survey.title} ({survey.name})", tuple(sections))


def kept(survey: Survey) -> list[str]:
    """Which events and fields a device keeps, and for how long."""
    fields: dict[str, set[str]] = {}
    for signal in survey.signals.values():
        fields.setdefault(signal.event, set()).update([signal.field] if signal.field else [])
    days = "1 day" if survey.longest_window == 1 else f"{survey.longest_window} days"
    return [
        f"{event}: the day{''.join(f', {field}' for field in sorted(names))}; for {days} at most."
        for event, names in fields.items()
    ]


def leaving(survey: Survey) -> list[str]:
    """Everything that a device sends, and how often."""
    each = survey.privacy.questions_per_device
    asked = f"{each} of the {len(survey.asked)} questions" if each < len(survey.asked) else "every question"
    every = f"every {survey.epoch}"
    if survey.privacy.answers_every > 1:
        every = f"one {survey.epoch} in {survey.privacy.answers_every}"
    times = "once" if survey.answers == 1 else f"at most {survey.answers} times"
    cohorts = "; ".join(f"{name} ({', '.join(values)})" for name, values in survey.cohorts.items())
    return [
        f"A device answers {asked}, in {every}, {times} in all; which and when is drawn beforehand, whatever its data.",
        "Each answer is one randomized symbol. What was recorded stays on the device.",
        f"In the clear: {cohorts}." if cohorts else "Nothing is sent in the clear.",
        "Beside it: the survey, its version and digest, the question, the epoch, and a random number for the delivery.",
    ]


def conclusions(survey: Survey) -> list[str]:
    """What whoever sees all that leaves a device could conclude, over the whole survey and from one report."""
    whole = survey.lifetime_epsilon
    lines = [
        f"If {PRIOR:.0%} of customers are in a segment, whoever keeps all reports of a device can be at most"
        f" {percent(largest_belief(PRIOR, whole))} sure that its owner is one of them: epsilon {whole:g} over the"
        " whole survey.",
        *(
            f"From one report, {ids}: {percent(largest_belief(PRIOR, epsilon))} (epsilon {epsilon:g})."
            for epsilon, ids in _by_epsilon(survey.asked)
        ),
    ]
    if survey.permanent:
        lines.append(
            "The answer to a value is randomized once and reused: the bound over the whole survey is about what was"
            " answered. Whether and when an answer changed it does not hide from whoever can link a device's reports."
        )
    return lines


def choices(survey: Survey) -> list[str]:
    """What a customer can do, and what that does not undo."""
    return [
        "Nothing is recorded or sent before you agree, and you can withdraw at any time: what was recorded and what"
        " waits to be sent is then erased from the device.",
        "What was sent before is counted with the answers of others, and nobody can find it there again.",
        *(
            ["Who withdraws and agrees again takes part no more in this survey: its answers were erased."]
            if survey.permanent
            else []
        ),
    ]


def randomization(question: Question) -> str:
    """How a question's answers are randomized, and at what cost in accuracy."""
    mechanism = question.mechanism
    parameters = ", ".join(f"{name} {value}" for name, value in mechanism.parameters.items())
    size = math.ceil((mechanism.symbols - 1).bit_length() / 8)
    cost = mechanism.mean_variance() / optimal_mean_variance(mechanism.domain, question.epsilon)
    memory = "" if question.epsilon_permanent is None else f", {question.epsilon_permanent:g} for all of one answer"
    return (
        f"{mechanism.name}{f' ({parameters})' if parameters else ''}, epsilon {question.epsilon:g}{memory}:"
        f" p {mechanism.channel.p:.4f}, q {mechanism.channel.q:.4f}, {mechanism.symbols:,} symbols"
        f" ({size} {'byte' if size == 1 else 'bytes'}), variance {cost:.3f} times the optimum"
    )


def percent(share: float) -> str:
    """A share as people read it; near 1 with the digits that matter there."""
    if share < 0.985:
        return f"{share:.0%}"
    return f"{share:.2%}" if share < 0.99995 else "practically 100%"


def _by_epsilon(questions: Sequence[Question]) -> list[tuple[float, str]]:
    groups: dict[float, list[str]] = {}
    for question in questions:
        groups.setdefault(question.epsilon, []).append(question.id)
    return [
        (epsilon, "whatever the question" if len(groups) == 1 else " or ".join(ids)) for epsilon, ids in groups.items()
    ]


def _question(question: Question) -> str:
    shown = ", ".join(question.segments[:MOST_SHOWN])
    more = f" and {len(question.segments) - MOST_SHOWN:,} more" if len(question.segments) > MOST_SHOWN else ""
    return f"{question.id}: one of {shown}{more}"


def _standing(status: SurveyStatus) -> list[str]:
    return [
        "The customer agreed." if status.consent else "The customer has not agreed: nothing is recorded or sent.",
        *([f"Silent: {status.silent}."] if status.silent else []),
        f"Spent: epsilon {status.spent:g} of at most {status.most:g}.",
    ]


def _wrapped(line: str) -> str:
    return textwrap.fill(
        line, WIDTH, initial_indent="  ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )
