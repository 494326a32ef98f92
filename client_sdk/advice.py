"""Advice on a sound survey: what is allowed, but costs more than it need."""

from __future__ import annotations

from client_sdk.mechanisms import build
from client_sdk.questions import Question
from client_sdk.survey import Survey

WORTH_SAYING = 1.01  # times the variance of the automatic choice


def advice(survey: Survey) -> list[str]:
    """One line, with its place, for every question whose mechanism needs more devices than the automatic choice."""
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
