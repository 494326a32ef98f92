"""What an observer can learn from the reports of a device, in sentences for the customer ("you")."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hushtally.client_sdk.explain.belief import PRIOR, belief_bound, describe_belief
from hushtally.client_sdk.explain.wording import counted
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.questions import Question


def observer_conclusions(survey: Survey) -> list[str]:
    """Return sentences on what an observer can conclude from all reports of a device, and from a single report."""
    lifetime = survey.lifetime_epsilon
    scope = ", for what you answered" if reveals_changes(survey) else ""
    return [
        f"If {PRIOR:.0%} of customers are in a segment, an observer of all your reports can be"
        f" {describe_belief(belief_bound(PRIOR, lifetime))} that you are in it (epsilon {lifetime:g} for this"
        f" version{scope}).",
        *(
            f"From {reports}: {describe_belief(belief_bound(PRIOR, epsilon))} (epsilon {epsilon:g})."
            for epsilon, reports in _reports_by_epsilon(survey.asked)
        ),
        *_one_delivery(survey),
        "A new version, another survey or another device of yours adds to this. The app can limit the sum for one"
        " device.",
        "The time of a report can show when the app was used: a report waits for a random moment of its"
        f" {survey.epoch}, then for the app to run.",
        *_device_group(survey),
        *_permanent_memory(survey),
    ]


def _one_delivery(survey: Survey) -> list[str]:
    reports, epsilon = survey.privacy.questions_per_device, survey.delivery_epsilon
    if reports == 1:
        return []
    belief = describe_belief(belief_bound(PRIOR, epsilon))
    return [f"From one delivery ({reports} reports): {belief} (epsilon {epsilon:g})."]


def _device_group(survey: Survey) -> list[str]:
    combinations = device_groups(survey)
    if combinations == 1:
        return []
    privacy = survey.privacy
    lasting = ["questions"] * (privacy.questions_per_device < len(survey.asked))
    lasting += [f"{survey.epoch}s"] * (privacy.answers_every > 1) + ["cohorts"] * bool(survey.cohorts)
    named = " and ".join(filter(None, (", ".join(lasting[:-1]), lasting[-1])))
    return [
        f"Your device's {named} stay the same: one of {combinations:,} combinations. If few devices share it, an"
        " observer can recognise your reports."
    ]


def _permanent_memory(survey: Survey) -> list[str]:
    lines = []
    if reveals_changes(survey):
        lines.append(
            "Each answer is randomized once and then reused. This hides what you answered, but not whether and when it"
            " changed: an observer who can link your reports sees that. At most"
            f" {counted(survey.charges - 1, 'new answer')} can follow the first, then earlier ones are repeated."
        )
    elif survey.permanent:
        lines.append("The first answer is randomized once and then reused. Later changes are not reported.")
    if linkable := [question.id for question in survey.asked if question.linkable]:
        lines.append(
            f"The reused answers to {' and '.join(linkable)} have so many possible values that almost no two devices"
            " share one. An observer can recognise your reports."
        )
    return lines


def device_groups(survey: Survey) -> int:
    """Return the number of groups of devices that reports make visible, by questions, phase and cohorts."""
    questions = math.comb(len(survey.asked), survey.privacy.questions_per_device)
    return questions * min(survey.privacy.answers_every, survey.epochs) * len(survey.all_cohorts())


def reveals_changes(survey: Survey) -> bool:
    """Return whether an observer who can link a device's reports may see that an answer changed.

    No epsilon limits what such a change reveals.
    """
    return survey.permanent and survey.charges > 1


def _reports_by_epsilon(questions: Sequence[Question]) -> list[tuple[float, str]]:
    ids: dict[float, list[str]] = {}
    for question in questions:
        ids.setdefault(question.epsilon, []).append(question.id)
    return [
        (epsilon, "any one report" if len(ids) == 1 else f"one report on {' or '.join(named)}")
        for epsilon, named in ids.items()
    ]
