"""Which segments no customer can be in: told where rules compare signals with constants, and nowhere else."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from itertools import pairwise, product

from hushtally.client_sdk.survey.questions import Conditions
from hushtally.client_sdk.survey.signals import Function, Signal

MOST_EVALUATIONS = 200_000  # of rules, about a second; a question that needs more is passed over


def unreachable(form: Conditions, signals: Mapping[str, Signal]) -> dict[str, str]:
    """The segments that stay empty whatever is recorded, each with the reason.

    Every rule is tried as a device would, once for each way in which the signals can lie among the constants that they
    are compared with. A rule that holds more than such comparisons may take any case, and may leave it.
    """
    compared = {segment: found for segment, rule in form.rules if (found := rule.constants) is not None}
    constants: dict[str, set[float | str]] = {}
    for found in compared.values():
        for name, among in found.items():
            constants.setdefault(name, set()).update(among)
    values = [_values(signals[name], among) for name, among in constants.items()]
    if math.prod(map(len, values)) * len(form.rules) > MOST_EVALUATIONS:
        return {}
    met: set[str] = set()
    reached: set[str] = set()
    for case in product(*values):
        given = dict(zip(constants, case, strict=True))
        holding = [segment for segment, rule in form.rules if segment not in compared or rule.holds(given)]
        met.update(holding)
        # up to the first that surely holds, each may take the case
        first = next((index for index, segment in enumerate(holding) if segment in compared), None)
        reached.update([*holding, form.rest] if first is None else holding[: first + 1])
    return {
        segment: "its condition never holds"
        if segment in compared.keys() - met
        else "those before it take all its cases"
        for segment in form.segments
        if segment not in reached
    }


def _values(signal: Signal, constants: Collection[float | str]) -> list[float | str | None]:
    """Values that the signal can have: one at least for every way to lie among the constants."""
    if signal.function is Function.TOP:
        return [*constants, None]  # nothing differs from every constant, as any other text does
    numbers = sorted(value for value in constants if not isinstance(value, str))
    if signal.function is Function.SUM:
        ends = [numbers[0] - 1, numbers[-1] + 1] if numbers else [0.0]
        return [*numbers, *((low + high) / 2 for low, high in pairwise(numbers)), *ends]
    # whole numbers from 0: between two constants lies the next whole number after the lower one, or none
    near = {0, *(math.floor(value) + step for value in numbers for step in (0, 1))}
    if signal.function is Function.DAYS_SINCE:
        return [*(value for value in near if 0 <= value < signal.days), math.inf]
    return [value for value in near if value >= 0]
