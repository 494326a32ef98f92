"""What changed in the segments of a question, in words."""

from __future__ import annotations

from collections.abc import Iterator

from hushtally.client_sdk.survey.number_names import edge_name
from hushtally.client_sdk.survey.questions import Categories, Conditions, Cross, Form, Scale
from hushtally.survey.change import Change, Touches, differ

REST = "the rest"


def changed_form(what: str, old: Form, new: Form) -> Iterator[Change]:
    """Every change of a question's segments; `what` names the question."""
    match old, new:
        case Conditions(), Conditions():
            yield from _conditions(what, old, new)
        case Categories(), Categories():
            yield from differ(f"{what}, one of", old.signal, new.signal)
            yield from _categories(what, old.categories, new.categories)
        case Scale(), Scale():
            yield from differ(f"{what}, number", old.rule.source, new.rule.source)
            yield from differ(f"{what}, edges", _edges(old), _edges(new))
            yield from differ(f"{what}, otherwise", old.otherwise, new.otherwise)
        case Cross(), Cross():
            # what became of its parts is told with them
            yield from differ(what, _kind(old), _kind(new))
        case _:
            yield from differ(what, _kind(old), _kind(new))


def _conditions(what: str, old: Conditions, new: Conditions) -> Iterator[Change]:
    ours, theirs = _rules(old), _rules(new)
    named = _renamed(ours, theirs)
    for segment, rule in ours.items():
        if segment in named:
            yield Change(f"{what}, name of a segment", segment, named[segment], Touches.NOTHING)
        else:
            yield from differ(f"{what}, segment {segment}", rule, theirs.get(segment, "gone"))
    for segment, rule in theirs.items():
        if segment not in ours and segment not in named.values():
            yield Change(f"{what}, segment {segment}", "none", rule, Touches.OTHER)
    before = [named.get(segment, segment) for segment in ours]
    yield from _reordered(what, [one for one in before if one in theirs], [one for one in theirs if one in before])


def _rules(form: Conditions) -> dict[str, str]:
    return {**{segment: rule.source for segment, rule in form.rules}, form.rest: REST}


def _renamed(old: dict[str, str], new: dict[str, str]) -> dict[str, str]:
    """The new names of segments that kept their rule."""
    came = {rule: segment for segment, rule in new.items() if segment not in old}
    return {segment: came[rule] for segment, rule in old.items() if segment not in new and rule in came}


def _categories(what: str, old: tuple[str, ...], new: tuple[str, ...]) -> Iterator[Change]:
    before, after = set(old), set(new)
    for category in old:
        if category not in after:
            yield Change(f"{what}, category {category}", "told apart", f"in {Categories.OTHER}", Touches.OTHER)
    for category in new:
        if category not in before:
            yield Change(f"{what}, category {category}", f"in {Categories.OTHER}", "told apart", Touches.OTHER)
    yield from _reordered(what, [one for one in old if one in after], [one for one in new if one in before])


def _reordered(what: str, old: list[str], new: list[str]) -> Iterator[Change]:
    yield from differ(f"{what}, order of the segments", ", ".join(old), ", ".join(new))


def _edges(form: Scale) -> str:
    return ", ".join(map(edge_name, form.edges))


def _kind(form: Form) -> str:
    match form:
        case Conditions():
            return f"segments by rules ({', '.join(form.segments)})"
        case Categories():
            return f"categories of {form.signal}"
        case Scale():
            return f"spans of {form.rule.source}"
        case Cross():
            return f"every combination of {' and '.join(form.questions)}"
    raise TypeError(f"there is no such form as {form!r}")
