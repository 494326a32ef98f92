"""The ranges of a number question: which stay empty, and which are easily misread."""

from __future__ import annotations

import ast
import math
from bisect import bisect_right
from collections.abc import Mapping
from itertools import pairwise

from hushtally.client_sdk.explain.reachability import values_among
from hushtally.client_sdk.survey.questions import Scale
from hushtally.client_sdk.survey.signals import Function, Signal

_WHOLE_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Mod)


def unreachable_ranges(form: Scale, signals: Mapping[str, Signal]) -> list[str]:
    """The segments that stay empty whatever is recorded, as far as that is certain.

    Of a single signal these are all; of sums and multiples of signals, those below the smallest possible number.
    """
    number, segments = _expression(form), form.segments
    if isinstance(number, ast.Name):
        values = values_among(signals[number.id], form.edges)
        # below the first edge the index is -1: `otherwise` is the last segment
        reached = {segments[bisect_right(form.edges, value) - 1] for value in values if isinstance(value, int | float)}
        return [segment for segment in segments if segment not in reached]
    smallest = _smallest(number, signals)
    if smallest is None:
        return []
    below = [span for span, end in zip(form.spans, form.edges[1:], strict=False) if end <= smallest]
    return [*below, form.otherwise] if smallest >= form.edges[0] else below


def misread_range(form: Scale, signals: Mapping[str, Signal]) -> tuple[str, str] | None:
    """A range that seems to include its upper edge, and the whole numbers in it; None if there is no such range.

    A range excludes its upper edge: of whole numbers, "2-4" contains 2 and 3.
    """
    if not _is_whole(_expression(form), signals):
        return None
    empty = unreachable_ranges(form, signals)
    for span, (low, high) in zip(form.spans, pairwise(form.edges), strict=False):
        if span not in empty and high == math.floor(high):
            first, last = math.ceil(low), math.floor(high) - 1
            conjunction = "and" if last == first + 1 else "to"
            return span, f"{first}" if first == last else f"{first} {conjunction} {last}"
    return None


def _expression(form: Scale) -> ast.expr:
    return ast.parse(form.rule.source.strip(), mode="eval").body


def _smallest(node: ast.expr, signals: Mapping[str, Signal]) -> float | None:
    """A number that no value of the expression is below; None if it is unknown, or if there may be no value."""
    match node:
        case ast.Constant(value=int() | float() as value):
            return float(value)
        case ast.Name(id=name):
            return None if signals[name].function is Function.SUM else 0.0
        case ast.BinOp(op=ast.Add()):
            left, right = _smallest(node.left, signals), _smallest(node.right, signals)
            return None if left is None or right is None else left + right
        case ast.BinOp(op=ast.Mult(), left=ast.Constant(value=int() | float() as factor)) if factor > 0:
            smallest = _smallest(node.right, signals)
            return None if smallest is None else factor * smallest
        case ast.BinOp(op=ast.Mult(), right=ast.Constant(value=int() | float() as factor)) if factor > 0:
            smallest = _smallest(node.left, signals)
            return None if smallest is None else smallest * factor
        case ast.BinOp(op=ast.Div(), right=ast.Constant(value=int() | float() as divisor)) if divisor > 0:
            smallest = _smallest(node.left, signals)
            return None if smallest is None else smallest / divisor
    return None


def _is_whole(node: ast.expr, signals: Mapping[str, Signal]) -> bool:
    """Whether every value of the expression is a whole number or infinite."""
    match node:
        case ast.Constant(value=value):
            return isinstance(value, int | float) and float(value).is_integer()
        case ast.Name(id=name):
            return signals[name].function is not Function.SUM
        case ast.UnaryOp(operand=operand):
            return _is_whole(operand, signals)
        case ast.BinOp(op=op, left=left, right=right):
            return isinstance(op, _WHOLE_OPERATORS) and _is_whole(left, signals) and _is_whole(right, signals)
        case ast.Call(func=ast.Name(id="len")):
            return True
        case ast.Call(args=[ast.List(elts=elements)]):
            return all(_is_whole(element, signals) for element in elements)
        case ast.Call(args=[argument]):
            return _is_whole(argument, signals)
    return False
