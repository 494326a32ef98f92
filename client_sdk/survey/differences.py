"""The differences between two definitions of a survey, in terms of the fields that its author wrote."""

from __future__ import annotations

from hushtally.client_sdk.errors import MechanismError
from hushtally.client_sdk.mechanisms import build, describe
from hushtally.client_sdk.survey.questions import Question
from hushtally.client_sdk.survey.survey import Survey

MAX_LISTED = 3  # changes in one message
INHERITED = ("epsilon", "epsilon_permanent")  # questions without these fields inherit them from [privacy]


def differences(old: object, new: object, place: str = "") -> list[str]:
    """The differences between two definitions, one line each, such as `privacy.epsilon: 1 -> 2`."""
    if isinstance(old, dict) and isinstance(new, dict):
        pairs = [(f"{place}.{key}".lstrip("."), old.get(key), new.get(key)) for key in old | new]
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = [(f"{place}[{index}]", *both) for index, both in enumerate(zip(old, new, strict=True))]
    else:
        return [] if old == new else [f"{place}: {_brief(old)} -> {_brief(new)}"]
    return [line for inner, before, after in pairs for line in differences(before, after, inner)]


def describe_change(collected: Survey, given: Survey) -> str:
    """One line for a survey whose id and version were collected with another definition: what changed, what to do."""
    lines = _written_differences(collected, given) or ["the order of the questions"]
    more = f" and {len(lines) - MAX_LISTED} more" if len(lines) > MAX_LISTED else ""
    return (
        f"{given.name} was changed since it was first collected: {'; '.join(lines[:MAX_LISTED])}{more};"
        " give the changed survey a new version (hushtally survey diff OLD NEW shows all changes)"
    )


def _written_differences(old: Survey, new: Survey) -> list[str]:
    """The differences, without those that follow from others. Questions are matched by id."""
    before, after = ({question.id: question.resolved for question in survey.questions} for survey in (old, new))
    for id in before.keys() & after.keys():
        questions = [old.question(id), new.question(id)]
        automatic = all(question.automatic for question in questions)
        for question, resolved in zip(questions, (before[id], after[id]), strict=True):
            resolved["mechanism"] = "auto" if automatic else _written_mechanism(question)
        for name in INHERITED:
            if all(getattr(survey.question(id), name) == getattr(survey.privacy, name) for survey in (old, new)):
                before[id].pop(name, None)
                after[id].pop(name, None)
    return differences({**old.resolved, "questions": before}, {**new.resolved, "questions": after})


def _written_mechanism(question: Question) -> object:
    """The mechanism as a survey may state it: the name alone if the default parameters are in use."""
    mechanism = question.mechanism
    try:
        default = build(mechanism.name, {}, len(question.segments), question.epsilon, question.epsilon_permanent)
    except MechanismError:
        default = None
    if default and describe(default) == describe(mechanism):
        return mechanism.name
    return {"name": mechanism.name, **mechanism.parameters}


def _brief(value: object) -> str:
    text = "none" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
