"""The segments of a question in words. Every segment is named: nothing is truncated."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from hushtally.client_sdk.explain.wording import describe_rule
from hushtally.client_sdk.survey.number_names import edge_name
from hushtally.client_sdk.survey.questions import Categories, Conditions, Cross, Form, Question, Scale

MOST_INLINE = 8  # segments in one sentence; longer lists have lines of their own


def describe_question(question: Question) -> list[str]:
    """A question with all its segments: one line, or a heading and items that begin with "- ".

    An item is one segment. Of a cross, an item is one row of the joint table: all segments of the last crossed question
    combined with the same segments of the others.
    """
    heading = question.name
    if question.only_crossed:
        heading += ", asked only in combination"
    if basis := _basis(question.form):
        heading += f", {basis}"
    if len(question.segments) <= MOST_INLINE:
        return [f"{heading}: {_sentence(question.form)}"]
    items = _rows(question.form) if isinstance(question.form, Cross) else _segments(question.form)
    return [f"{heading}{_remark(question.form)}:", *(f"- {item}" for item in items)]


def describe_segments(form: Form) -> str:
    """All segments of a question on one line, each with its meaning."""
    basis = _basis(form)
    return f"{basis}: {_sentence(form)}" if basis else _sentence(form)


def _sentence(form: Form) -> str:
    *first, last = _segments(form)
    return f"{', '.join(first)}, or {last}{_remark(form)}"


def _basis(form: Form) -> str:
    """What decides the segment, unless every segment states its own rule."""
    match form:
        case Categories():
            return f"by {form.signal}"
        case Scale():
            return f"by {form.rule.source}"
        case Cross():
            return f"every combination of {' and '.join(form.questions)}"
    return ""


def _segments(form: Form) -> Sequence[str]:
    """Every segment, with its meaning in parentheses unless its name says it."""
    match form:
        case Conditions():
            rules = [f"{segment} ({describe_rule(rule.source)})" for segment, rule in form.rules]
            return [*rules, f"{form.rest} (the rest)"]
        case Categories():
            return [*form.categories, f"{form.OTHER} (anything else, or nothing)"]
        case Scale():
            return [*form.spans, f"{form.otherwise} (below {edge_name(form.edges[0])}, or not a number)"]
    return form.segments


def _remark(form: Form) -> str:
    """To which range an edge belongs."""
    if not isinstance(form, Scale):
        return ""
    index = min(1, len(form.edges) - 1)
    return f"; {edge_name(form.edges[index])} itself is in {form.spans[index]}"


def _rows(form: Cross) -> list[str]:
    """The joint table by rows."""
    *leading, last = (part.segments for part in form.forms)
    return [", ".join(" & ".join((*prefix, segment)) for segment in last) for prefix in product(*leading)]
