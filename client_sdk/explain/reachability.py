"""Segments that no customer can be in. A segment is reported only if that is certain."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from itertools import pairwise, product

from hushtally.client_sdk.survey.questions import Conditions
from hushtally.client_sdk.survey.signals import Function, Signal

MOST_EVALUATIONS = 200_000  # of rules, about a second; a question that needs more is not examined

NEVER_TRUE = "its condition is never true"
TAKEN_BEFORE = "an earlier segment always applies first"


def unreachable_segments(form: Conditions, signals: Mapping[str, Signal]) -> dict[str, str]:
    """The segments that stay empty whatever is recorded, each with the reason.

    Every rule is evaluated as on a device, once for each way in which the signals can lie among the constants that they
    are compared with. A rule that does anything else than such comparisons can be true or false in every case.
    """
    decidable = {segment: found for segment, rule in form.rules if (found := rule.constants) is not None}
    constants: dict[str, set[float | str]] = {}
    for found in decidable.values():
        for name, among in found.items():
            constants.setdefault(name, set()).update(among)
    values = [values_among(signals[name], among) for name, among in constants.items()]
    if math.prod(map(len, values)) * len(form.rules) > MOST_EVALUATIONS:
        return {}
    satisfiable: set[str] = set()
    reached: set[str] = set()
    for case in product(*values):
        given = dict(zip(constants, case, strict=True))
        true = [segment for segment, rule in form.rules if segment not in decidable or rule.holds(given)]
        satisfiable.update(true)
        # every segment up to the first one that certainly applies can take the case
        first = next((index for index, segment in enumerate(true) if segment in decidable), None)
        reached.update([*true, form.rest] if first is None else true[: first + 1])
    return {
        segment: NEVER_TRUE if segment in decidable.keys() - satisfiable else TAKEN_BEFORE
        for segment in form.segments
        if segment not in reached
    }


def values_among(signal: Signal, constants: Collection[float | str]) -> list[float | str | None]:
    """Values that the signal can have: at least one for every way to lie among the constants."""
    if signal.function is Function.TOP:
        return [*constants, None]  # None differs from every constant, as any other string does
    numbers = sorted(value for value in constants if not isinstance(value, str))
    if signal.function is Function.SUM:
        ends = [numbers[0] - 1, numbers[-1] + 1] if numbers else [0.0]
        return [*numbers, *((low + high) / 2 for low, high in pairwise(numbers)), *ends]
    # whole numbers from 0: if any lies between two constants, so does the first one after the lower constant
    near = {0, *(math.floor(value) + step for value in numbers for step in (0, 1))}
    if signal.function is Function.DAYS_SINCE:
        return [*(value for value in near if 0 <= value < signal.days), math.inf]
    return [value for value in near if value >= 0]
