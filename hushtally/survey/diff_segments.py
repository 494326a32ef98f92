"""The differences between the segments of two versions of a question."""

from __future__ import annotations

from collections.abc import Iterator

from hushtally.client_sdk.survey.number_names import edge_name
from hushtally.client_sdk.survey.questions import Categories, Conditions, Cross, Form, Scale
from hushtally.survey.change import Change, Effect, compare_values

REST = "the rest"


def compare_forms(what: str, old: Form, new: Form) -> Iterator[Change]:
    """Yield every change in the segments of a question. what: the name of the question."""
    match old, new:
        case Conditions(), Conditions():
            yield from _compare_conditions(what, old, new)
        case Categories(), Categories():
            yield from compare_values(f"{what}, one_of", old.signal, new.signal)
            yield from _compare_categories(what, old.categories, new.categories)
        case Scale(), Scale():
            yield from compare_values(f"{what}, number", old.rule.source, new.rule.source)
            yield from compare_values(f"{what}, edges", _edges(old), _edges(new))
            yield from compare_values(f"{what}, otherwise", old.otherwise, new.otherwise)
        case _:
            # two crosses differ only in their parts; changes inside a part are listed with the part
            yield from compare_values(what, _describe_form(old), _describe_form(new))


def _compare_conditions(what: str, old: Conditions, new: Conditions) -> Iterator[Change]:
    old_rules, new_rules = _rules(old), _rules(new)
    renamed = _renamed_segments(old_rules, new_rules)
    for segment, rule in old_rules.items():
        if segment in renamed:
            yield Change(f"{what}, name of a segment", segment, renamed[segment], Effect.NONE)
        else:
            yield from compare_values(f"{what}, segment {segment}", rule, new_rules.get(segment, "removed"))
    for segment, rule in new_rules.items():
        if segment not in old_rules and segment not in renamed.values():
            yield Change(f"{what}, segment {segment}", "none", rule, Effect.PRIVACY)
    old_order = [renamed.get(segment, segment) for segment in old_rules]
    yield from _compare_order(what, old_order, list(new_rules))


def _rules(form: Conditions) -> dict[str, str]:
    return {**{segment: rule.source for segment, rule in form.rules}, form.rest: REST}


def _renamed_segments(old: dict[str, str], new: dict[str, str]) -> dict[str, str]:
    """Return the new name by old name of the segments that were renamed but kept their rule."""
    added = {rule: segment for segment, rule in new.items() if segment not in old}
    return {segment: added[rule] for segment, rule in old.items() if segment not in new and rule in added}


def _compare_categories(what: str, old: tuple[str, ...], new: tuple[str, ...]) -> Iterator[Change]:
    own, merged = "own segment", f"in {Categories.OTHER}"
    for category in [category for category in old if category not in set(new)]:
        yield Change(f"{what}, category {category}", own, merged, Effect.PRIVACY)
    for category in [category for category in new if category not in set(old)]:
        yield Change(f"{what}, category {category}", merged, own, Effect.PRIVACY)
    yield from _compare_order(what, list(old), list(new))


def _compare_order(what: str, old: list[str], new: list[str]) -> Iterator[Change]:
    """Yield the change in the order of the segments that both versions have."""
    common = set(old) & set(new)
    old_order, new_order = ([segment for segment in order if segment in common] for order in (old, new))
    yield from compare_values(f"{what}, order of the segments", ", ".join(old_order), ", ".join(new_order))


def _edges(form: Scale) -> str:
    return ", ".join(map(edge_name, form.edges))


def _describe_form(form: Form) -> str:
    match form:
        case Conditions():
            return f"segments by rules ({', '.join(form.segments)})"
        case Categories():
            return f"categories of {form.signal}"
        case Scale():
            return f"ranges of {form.rule.source}"
        case Cross():
            return f"every combination of {' and '.join(form.questions)}"
    raise TypeError(f"unknown form of question: {form!r}")
