"""What was changed in a survey, in the fields that its author wrote."""

from __future__ import annotations

from hushtally.client_sdk.errors import MechanismError
from hushtally.client_sdk.mechanisms import build, describe
from hushtally.client_sdk.survey.questions import Question
from hushtally.client_sdk.survey.survey import Survey

MOST_NAMED = 3  # changes in one line
INHERITED = ("epsilon", "epsilon_permanent")  # by every question that has none of its own


def differences(old: object, new: object, place: str = "") -> list[str]:
    """Where two definitions differ, one line each, like `privacy.epsilon: 1 -> 2`."""
    if isinstance(old, dict) and isinstance(new, dict):
        pairs = [(f"{place}.{key}".lstrip("."), old.get(key), new.get(key)) for key in old | new]
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = [(f"{place}[{index}]", *both) for index, both in enumerate(zip(old, new, strict=True))]
    else:
        return [] if old == new else [f"{place}: {_brief(old)} -> {_brief(new)}"]
    return [line for where, before, after in pairs for line in differences(before, after, where)]


def changed(collected: Survey, given: Survey) -> str:
    """Why a survey is refused where another was collected under its id and version, and what to do; one line."""
    lines = _written_differences(collected, given) or ["the order of the questions"]
    more = f" and {len(lines) - MOST_NAMED} more" if len(lines) > MOST_NAMED else ""
    return (
        f"{given.name} was changed since it was first collected: {'; '.join(lines[:MOST_NAMED])}{more};"
        " give the changed survey a new version (hushtally survey diff OLD NEW shows all)"
    )


def _written_differences(old: Survey, new: Survey) -> list[str]:
    """The differences without those that follow from others; questions are told by their ids."""
    ours, theirs = ({question.id: question.resolved for question in survey.questions} for survey in (old, new))
    for id in ours.keys() & theirs.keys():
        questions = [old.question(id), new.question(id)]
        automatic = all(question.automatic for question in questions)
        for question, stated in zip(questions, (ours[id], theirs[id]), strict=True):
            stated["mechanism"] = "auto" if automatic else _named(question)
        for name in INHERITED:
            if all(getattr(survey.question(id), name) == getattr(survey.privacy, name) for survey in (old, new)):
                ours[id].pop(name, None)
                theirs[id].pop(name, None)
    return differences({**old.resolved, "questions": ours}, {**new.resolved, "questions": theirs})


def _named(question: Question) -> object:
    """The mechanism as a survey names it: without parameters where they are those that are taken without any."""
    mechanism = question.mechanism
    try:
        plain = build(mechanism.name, {}, len(question.segments), question.epsilon, question.epsilon_permanent)
    except MechanismError:
        plain = None
    if plain and describe(plain) == describe(mechanism):
        return mechanism.name
    return {"name": mechanism.name, **mechanism.parameters}


def _brief(value: object) -> str:
    text = "none" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
