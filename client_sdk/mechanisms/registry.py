"""Builds the mechanism that a survey names, and describes a mechanism as a survey states it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, fields
from fractions import Fraction

from hushtally.client_sdk.errors import MechanismError
from hushtally.client_sdk.mechanisms.auto import FAMILIES, choose, max_symbols_permanent
from hushtally.client_sdk.mechanisms.base import (
    EPSILON_RANGE,
    MAX_SYMBOLS_AUTO,
    BaselineMechanism,
    Mechanism,
    Weights,
    check_domain,
    check_epsilon,
)
from hushtally.client_sdk.mechanisms.design import Design
from hushtally.client_sdk.mechanisms.permanent import Permanent
from hushtally.client_sdk.mechanisms.rappor import Rappor
from hushtally.client_sdk.mechanisms.unary import Optimized, Symmetric, Unary

DESIGNS: Mapping[str, type[Design]] = {family.name: family for family in FAMILIES}
UNARY: Mapping[str, type[Unary]] = {family.name: family for family in (Symmetric, Optimized)}
NAMES = ("auto", *DESIGNS, *UNARY, Rappor.name)

# the parameters of each design without a default; the first two fields, domain and weights, are not parameters
REQUIRED = {
    name: [field.name for field in fields(design) if field.default is MISSING][2:] for name, design in DESIGNS.items()
}
RAPPOR_SIZES = ["k", "h", "m"]
RAPPOR_PROBABILITIES = ["f", "p", "q"]


def build(
    name: str,
    parameters: Mapping[str, object],
    domain: int,
    epsilon: float,
    epsilon_permanent: float | None = None,
) -> Mechanism:
    """Build the mechanism that a survey names. It has permanent memory if epsilon_permanent is given.

    name: one of NAMES. parameters: empty, to get the best member of the family, or all of the mechanism's own
    parameters. Other keys of `describe` are allowed, and their values must equal the derived ones. Raises
    MechanismError with a one-line message: the requirement, the given value and, for a size, a value that works.
    """
    if name not in NAMES:
        raise MechanismError(f"mechanism must be one of {', '.join(NAMES)}, got {name!r}")
    check_domain(domain)
    _check_epsilons(epsilon, epsilon_permanent)
    mechanism = _make(name, parameters, domain, epsilon, epsilon_permanent)
    facts = {} if name == "auto" else describe(mechanism)
    for key, value in parameters.items():
        if key not in facts:
            allowed = "no parameters" if name == "auto" else ", ".join(mechanism.parameters) or "no parameters"
            raise MechanismError(f"{name} takes {allowed}, got {key!r}")
        if facts[key] != value:
            raise MechanismError(
                f"{key} of {name} must be the derived value {facts[key]}, got {value}; leave {key} out to derive it"
            )
    return mechanism


def describe(mechanism: Mechanism) -> dict[str, object]:
    """Describe a mechanism as JSON: its name, parameters, number of symbols and sampled integers.

    `build` with this description and the same domain and epsilons returns an equal mechanism.
    """
    return {"name": mechanism.name, **mechanism.parameters, "symbols": mechanism.symbols, **mechanism.sampled}


def _check_epsilons(epsilon: float, epsilon_permanent: float | None) -> None:
    check_epsilon("epsilon", epsilon)
    if epsilon_permanent is None:
        return
    check_epsilon("epsilon_permanent", epsilon_permanent)
    if epsilon_permanent < epsilon:
        raise MechanismError(f"epsilon_permanent must be at least epsilon = {epsilon:g}, got {epsilon_permanent:g}")


def _make(
    name: str, parameters: Mapping[str, object], domain: int, epsilon: float, epsilon_permanent: float | None
) -> Mechanism:
    if name == Rappor.name:
        return _rappor(parameters, domain, epsilon, epsilon_permanent)
    mechanism: BaselineMechanism
    if name == "auto":
        limit = MAX_SYMBOLS_AUTO if epsilon_permanent is None else max_symbols_permanent(domain)
        mechanism = choose(domain, epsilon, limit)
    elif name in UNARY:
        mechanism = UNARY[name].of(domain, epsilon)
    elif any(key in parameters for key in REQUIRED[name]):
        optional = [field.name for field in fields(DESIGNS[name]) if field.default is not MISSING]
        keys = REQUIRED[name] + [key for key in optional if key in parameters]
        mechanism = DESIGNS[name](domain, Weights.of(epsilon), **_integers(name, keys, parameters))
    else:
        mechanism = DESIGNS[name].best(domain, epsilon)
    return mechanism if epsilon_permanent is None else Permanent.of(mechanism, epsilon_permanent)


def _rappor(
    parameters: Mapping[str, object], domain: int, epsilon: float, epsilon_permanent: float | None
) -> Mechanism:
    sizes = _integers(Rappor.name, RAPPOR_SIZES, parameters)
    probabilities = {key: _probability(key, parameters) for key in RAPPOR_PROBABILITIES}
    mechanism = Rappor(domain=domain, k=sizes["k"], h=sizes["h"], m=sizes["m"], **probabilities)
    _check_declared("epsilon", epsilon, mechanism.epsilon)
    if epsilon_permanent is not None:
        _check_declared("epsilon_permanent", epsilon_permanent, mechanism.epsilon_permanent)
    return mechanism


def _probability(key: str, parameters: Mapping[str, object]) -> Fraction:
    value = _required(Rappor.name, key, parameters)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise MechanismError(f"{key} of {Rappor.name} must be a number, got {value!r}")
    return Fraction(repr(value))  # the decimal as written, not the nearest binary number


def _check_declared(name: str, declared: float, derived: float) -> None:
    """Raise MechanismError if the epsilon that RAPPOR's parameters imply is above the declared one."""
    if derived <= declared:
        return
    rounded, limit = math.ceil(derived * 10_000) / 10_000, EPSILON_RANGE[1]
    action = f"declare {name} = {rounded:g}, or" if rounded <= limit else f"the maximum is {limit:g}, so"
    raise MechanismError(
        f"{name} must be at least {derived:.6g}, which follows from the parameters of rappor, got {declared:g}; "
        f"{action} increase f or decrease h"
    )


def _integers(name: str, keys: list[str], parameters: Mapping[str, object]) -> dict[str, int]:
    integers = {}
    for key in keys:
        value = _required(name, key, parameters)
        if isinstance(value, bool) or not isinstance(value, int):
            raise MechanismError(f"{key} of {name} must be an integer, got {value!r}")
        integers[key] = value
    return integers


def _required(name: str, key: str, parameters: Mapping[str, object]) -> object:
    if key not in parameters:
        required = REQUIRED.get(name, RAPPOR_SIZES + RAPPOR_PROBABILITIES)
        raise MechanismError(f"{name} needs the parameters {', '.join(required)}; {key} is missing")
    return parameters[key]
