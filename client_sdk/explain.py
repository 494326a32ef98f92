"""What a survey asks and reveals, in plain language: for a customer, a developer and a privacy officer."""

from __future__ import annotations

import math

from client_sdk.questions import Question
from client_sdk.survey import Survey


def largest_belief(prior: float, epsilon: float) -> float:
    """How sure an observer who was `prior` sure of something can be after reports worth `epsilon` in all.

    prior in [0, 1]; Bayes with the largest likelihood ratio, exp(epsilon).
    """
    return prior * math.exp(epsilon) / (prior * math.exp(epsilon) + 1 - prior)


def explain_survey(survey: Survey) -> str:
    """The survey in plain language: what is asked, why, by whom, until when, what leaves a device and what it tells."""
    return "\n".join(
        [
            f"{survey.title} ({survey.name})",
            "",
            f"Why      {survey.purpose}",
            f"Who      {survey.owner}",
            f"When     {survey.starts} to {survey.ends}, by {survey.epoch}; counts are deleted"
            f" {survey.retention_days} days after their {survey.epoch} closes",
            "",
            "What is asked",
            *(f"  {line}" for question in survey.asked for line in _question(question)),
            "",
            "What leaves the device",
            *(f"  {line}" for line in _leaving(survey)),
            "",
            "What an observer can conclude",
            *(f"  {line}" for line in _conclusions(survey)),
        ]
    )


def _question(question: Question) -> list[str]:
    shown = ", ".join(question.segments[:8])
    more = f" and {len(question.segments) - 8:,} more" if len(question.segments) > 8 else ""
    mechanism = question.mechanism
    return [
        f"{question.id}: one of {shown}{more}",
        f"  {mechanism.name}, epsilon {question.epsilon:g}: one of {mechanism.symbols:,} symbols,"
        f" p = {mechanism.channel.p:.4f}, q = {mechanism.channel.q:.4f}",
    ]


def _leaving(survey: Survey) -> list[str]:
    each = survey.privacy.questions_per_device
    asked = f"{each} of the {len(survey.asked)} questions" if each < len(survey.asked) else "every question"
    every = f"every {survey.epoch}"
    if survey.privacy.answers_every > 1:
        every = f"one {survey.epoch} in {survey.privacy.answers_every}"
    times = "once" if survey.answers == 1 else f"at most {survey.answers} times"
    cohorts = "; ".join(f"{name} ({', '.join(values)})" for name, values in survey.cohorts.items())
    return [
        f"A device answers {asked}, in {every}, {times} in all.",
        "Each answer is one randomized symbol; what was recorded stays on the device.",
        f"In the clear: {cohorts}." if cohorts else "Nothing is sent in the clear.",
    ]


def _conclusions(survey: Survey) -> list[str]:
    one = max(question.epsilon for question in survey.asked)
    whole = survey.lifetime_epsilon
    lines = [
        f"If 10% of customers are in a segment, whoever keeps all reports of a device can be at most"
        f" {largest_belief(0.1, whole):.0%} sure",
        f"that its owner is one of them (epsilon {whole:g} over the whole survey); from one report"
        f" {largest_belief(0.1, one):.0%} (epsilon {one:g}).",
    ]
    if survey.permanent:
        lines += [
            "The answer to a value is randomized once and reused: the bound over the whole survey is about what was",
            "answered. Whether and when an answer changed it does not hide from whoever can link a device's reports.",
        ]
    return lines
