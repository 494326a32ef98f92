"""The lifetime epsilon of a device, and what it protects."""

from __future__ import annotations

import math

from hushtally.client_sdk.explain.wording import counted
from hushtally.client_sdk.survey import Survey


def lifetime_epsilon(survey: Survey, epochs: int | None = None) -> float:
    """Return the epsilon of all reports of a device together in the first `epochs` of a survey. None means all epochs.

    With permanent memory, each answer can use one allowed change until none is left.
    """
    if epochs is None:
        return survey.lifetime_epsilon
    return survey.lifetime_epsilon * min(_answers(survey, epochs), survey.charges) / survey.charges


def protection(survey: Survey, epochs: int | None = None) -> str:
    """Describe what the lifetime epsilon protects in the first `epochs` of a survey, and what it does not protect."""
    if survey.permanent:
        return (
            f"the answers, with up to {counted(survey.privacy.changes or 0, 'change')}; not whether or when an answer"
            " changed, if an observer can link a device's reports"
        )
    answers = _answers(survey, epochs)
    return f"everything the customer did, in {'the only answer' if answers == 1 else f'all {answers} answers together'}"


def _answers(survey: Survey, epochs: int | None) -> int:
    """Return the number of answers of a device in the first `epochs`. None means all epochs."""
    return survey.answers if epochs is None else min(math.ceil(epochs / survey.privacy.answers_every), survey.answers)
