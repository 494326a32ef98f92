"""From a survey's words to a mechanism and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, fields
from fractions import Fraction

from hushtally.client_sdk.errors import MechanismError
from hushtally.client_sdk.mechanisms.auto import FAMILIES, choose, most_symbols_permanent
from hushtally.client_sdk.mechanisms.base import EPSILON_RANGE, MOST_VALUES, SYMBOLS_AUTO, Mechanism, Tilted, Weights
from hushtally.client_sdk.mechanisms.design import Design
from hushtally.client_sdk.mechanisms.permanent import Permanent
from hushtally.client_sdk.mechanisms.rappor import Rappor
from hushtally.client_sdk.mechanisms.unary import Optimized, Symmetric, Unary

DESIGNS: Mapping[str, type[Design]] = {family.name: family for family in FAMILIES}
UNARY: Mapping[str, type[Unary]] = {family.name: family for family in (Symmetric, Optimized)}
NAMES = ("auto", *DESIGNS, *UNARY, Rappor.name)

SIZES = {name: [one.name for one in fields(family) if one.default is MISSING][2:] for name, family in DESIGNS.items()}
RAPPOR_SIZES = ["k", "h", "m"]
RAPPOR_CHANCES = ["f", "p", "q"]


def build(
    name: str,
    parameters: Mapping[str, object],
    domain: int,
    epsilon: float,
    epsilon_permanent: float | None = None,
) -> Mechanism:
    """The mechanism that a survey asks for; one with permanent memory when epsilon_permanent is given.

    name: one of NAMES. parameters: none (the best form is taken) or all of the mechanism's own; whatever else
    `describe` gives may come along and must be what is derived here. Raises MechanismError with one line that says
    what was required, what came and, where a size is the matter, what would fit.
    """
    if name not in NAMES:
        raise MechanismError(f"mechanism must be one of {', '.join(NAMES)}, got {name!r}")
    if not 2 <= domain <= MOST_VALUES:
        raise MechanismError(f"a question needs 2 to {MOST_VALUES:,} values, got {domain:,}")
    _check_epsilons(epsilon, epsilon_permanent)
    mechanism = _make(name, parameters, domain, epsilon, epsilon_permanent)
    facts = {} if name == "auto" else describe(mechanism)
    for key, value in parameters.items():
        if key not in facts:
            takes = "no parameters" if name == "auto" else ", ".join(mechanism.parameters) or "no parameters"
            raise MechanismError(f"{name} takes {takes}, got {key!r}")
        if facts[key] != value:
            raise MechanismError(f"{key} of {name} must be {facts[key]}, as derived, got {value}")
    return mechanism


def describe(mechanism: Mechanism) -> dict[str, object]:
    """What fixes a mechanism, JSON-ready: its name, parameters, number of symbols and the integers it samples.

    `build` takes it back, with the same domain and epsilons, and makes an equal mechanism.
    """
    return {"name": mechanism.name, **mechanism.parameters, "symbols": mechanism.symbols, **mechanism.sampled}


def _check_epsilons(epsilon: float, epsilon_permanent: float | None) -> None:
    low, high = EPSILON_RANGE
    for what, value in (("epsilon", epsilon), ("epsilon_permanent", epsilon_permanent)):
        if value is not None and not low <= value <= high:
            raise MechanismError(f"{what} must be at least {low} and at most {high:g}, got {value}")
    if epsilon_permanent is not None and epsilon_permanent < epsilon:
        raise MechanismError(f"epsilon_permanent must be at least epsilon = {epsilon:g}, got {epsilon_permanent:g}")


def _make(
    name: str, parameters: Mapping[str, object], domain: int, epsilon: float, epsilon_permanent: float | None
) -> Mechanism:
    once: Tilted
    if name == Rappor.name:
        return _rappor(parameters, domain, epsilon, epsilon_permanent)
    if name == "auto":
        once = choose(domain, epsilon, SYMBOLS_AUTO if epsilon_permanent is None else most_symbols_permanent(domain))
    elif name in UNARY:
        once = UNARY[name].of(domain, epsilon)
    elif any(key in parameters for key in SIZES[name]):
        given = [one.name for one in fields(DESIGNS[name]) if one.default is not MISSING and one.name in parameters]
        once = DESIGNS[name](domain, Weights.of(epsilon), **_integers(name, SIZES[name] + given, parameters))
    else:
        once = DESIGNS[name].best(domain, epsilon)
    return once if epsilon_permanent is None else Permanent.of(once, epsilon_permanent)


def _rappor(
    parameters: Mapping[str, object], domain: int, epsilon: float, epsilon_permanent: float | None
) -> Mechanism:
    sizes = _integers(Rappor.name, RAPPOR_SIZES, parameters)
    chances = {}
    for key in RAPPOR_CHANCES:
        value = _needed(Rappor.name, key, parameters)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise MechanismError(f"{key} of {Rappor.name} must be a number, got {value!r}")
        chances[key] = Fraction(repr(value))  # the decimal that was written, not the binary number nearest to it
    mechanism = Rappor(domain, sizes["k"], sizes["h"], sizes["m"], chances["f"], chances["p"], chances["q"])
    declared = [("epsilon", epsilon, mechanism.epsilon)]
    if epsilon_permanent is not None:
        declared.append(("epsilon_permanent", epsilon_permanent, mechanism.epsilon_permanent))
    for what, value, derived in declared:
        if derived > value:
            most, rounded = EPSILON_RANGE[1], math.ceil(derived * 10_000) / 10_000
            fits = f"{what} = {rounded:g} fits" if rounded <= most else f"{most:g} is the most: raise f or lower h"
            raise MechanismError(
                f"{what} of rappor follows from its parameters and is {derived:.6g}, above the {value:g} declared; "
                f"{fits}"
            )
    return mechanism


def _integers(name: str, needed: list[str], parameters: Mapping[str, object]) -> dict[str, int]:
    integers = {}
    for key in needed:
        value = _needed(name, key, parameters)
        if isinstance(value, bool) or not isinstance(value, int):
            raise MechanismError(f"{key} of {name} must be a whole number, got {value!r}")
        integers[key] = value
    return integers


def _needed(name: str, key: str, parameters: Mapping[str, object]) -> object:
    if key not in parameters:
        wanted = SIZES.get(name, RAPPOR_SIZES + RAPPOR_CHANCES)
        raise MechanismError(f"{name} needs {', '.join(wanted)}; {key} is missing")
    return parameters[key]
