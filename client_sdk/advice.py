"""Advice on a sound survey: what is allowed, but hardly meant, or costs more than it need."""

from __future__ import annotations

from datetime import date

from client_sdk.mechanisms import build
from client_sdk.questions import Question
from client_sdk.survey import Survey

WORTH_SAYING = 1.01  # times the variance of the automatic choice


def advice(survey: Survey, today: date) -> list[str]:
    """One line, with its place, for a time that leaves devices silent, and for a mechanism that needs more of them."""
    return [*_timing(survey, today), *_costs(survey)]


def _timing(survey: Survey, today: date) -> list[str]:
    lines = []
    if today > survey.ends:
        lines.append(f"ends: the survey was over on {survey.ends}: no device answers it any more")
    if today < survey.starts:
        lines.append(f"starts: no device answers before {survey.starts}")
    every, epochs = survey.privacy.answers_every, survey.epochs
    if every > epochs:
        lines.append(
            f"privacy.answers_every: the survey has only {epochs} {survey.epoch}{'s' if epochs > 1 else ''}:"
            f" {every - epochs} of {every} devices never answer"
        )
    return lines


def _costs(survey: Survey) -> list[str]:
    lines = []
    for index, question in enumerate(survey.questions):
        best = build("auto", {}, len(question.segments), question.epsilon, question.epsilon_permanent)
        cost = question.mechanism.mean_variance() / best.mean_variance()
        if cost > WORTH_SAYING:
            name = question.mechanism.name
            lines.append(
                f"questions[{index}].mechanism: {name} costs {_at_least(question)}{cost:.2f} times the variance of the"
                f" automatic choice, {best.name}: it needs as many times the devices"
            )
    return lines


def _at_least(question: Question) -> str:
    return "at least " if question.mechanism.name == "rappor" else ""  # two values that share a bit cost more
