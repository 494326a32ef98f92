"""Permanent answers: for each value, the symbol that the device drew once and repeats."""

from __future__ import annotations

from typing import cast

from hushtally.client_sdk.mechanisms import PermanentMechanism
from hushtally.client_sdk.randomness import Randomness
from hushtally.client_sdk.state.records import Records
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.questions import Question, Signals


def recall(
    records: Records, survey: Survey, question: Question, signals: Signals, randomness: Randomness
) -> tuple[int, float]:
    """Return the symbol of a report from permanent memory, and what it costs.

    A new value draws a permanent symbol and costs epsilon_permanent. A known value reuses its symbol and costs 0. After
    `changes` new values, a further value repeats the one that was used last.
    """
    mechanism = cast(PermanentMechanism, question.mechanism)  # the registry builds no other with permanent memory
    known = {
        value: row
        for (digest, id, value), row in sorted(records.answers.items(), key=lambda item: item[1][1])
        if (digest, id) == (survey.digest, question.id)
    }
    value = question.form.value(signals)
    last = list(known)[-1] if known else None
    new = value not in known and len(known) <= (survey.privacy.changes or 0)
    if new:
        symbol = mechanism.draw(value, randomness, None if last is None else known[last][0])
    else:
        if value not in known and last is not None:
            value = last
        symbol = known[value][0]
    used = 1 + max((used for _, used in known.values()), default=0)
    records.answers[survey.digest, question.id, value] = symbol, used
    return mechanism.repeat(symbol, randomness), (question.epsilon_permanent or 0.0) if new else 0.0
