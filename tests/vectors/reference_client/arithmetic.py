"""The operations of a rule. Numbers are doubles."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any


class RuleFailed(Exception):
    """The whole rule fails."""


def divide(x: float, y: float) -> float:
    check_divisor(y)
    return x / y


def floor_divide(x: float, y: float) -> float:
    check_divisor(y)
    if math.isinf(x) or math.isnan(x) or math.isnan(y):
        return math.nan
    if math.isinf(y):
        return -1.0 if x * y < 0 else 0.0
    return rounded(math.floor(Fraction(x) / Fraction(y)))


def remainder(x: float, y: float) -> float:
    check_divisor(y)
    if math.isinf(x) or math.isnan(x) or math.isnan(y):
        return math.nan
    if math.isinf(y):
        return y if x * y < 0 else x
    return rounded(Fraction(x) - Fraction(y) * math.floor(Fraction(x) / Fraction(y)))


def check_divisor(y: float) -> None:
    if y == 0:
        raise RuleFailed


def rounded(exact: int | Fraction) -> float:
    try:
        return float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


def extreme(values: list[float], better: Callable[[float, float], bool]) -> float:
    """min or max: the first value, unless a later one is better."""
    best, *others = values
    for value in others:
        best = value if better(value, best) else best
    return best


def length(string: str | None) -> float:
    if string is None:
        raise RuleFailed
    return float(len(string))


SUMS: dict[str, Any] = {"+": operator.add, "-": operator.sub}
PRODUCTS: dict[str, Any] = {"*": operator.mul, "/": divide, "//": floor_divide, "%": remainder}
EQUALITY: dict[str, Any] = {"==": operator.eq, "!=": operator.ne}
ORDER: dict[str, Any] = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
EXTREMES: dict[str, Any] = {"min": operator.lt, "max": operator.gt}
