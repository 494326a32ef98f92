"""From a survey's words to a mechanism and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from client_sdk.errors import MechanismError
from client_sdk.mechanisms.auto import FAMILIES, choose, most_symbols_permanent
from client_sdk.mechanisms.base import MOST_VALUES, SYMBOLS_AUTO, Mechanism, Tilted, Weights
from client_sdk.mechanisms.design import Design
from client_sdk.mechanisms.permanent import Permanent

DESIGNS: Mapping[str, type[Design]] = {family.name: family for family in FAMILIES}
NAMES = ("auto", *DESIGNS)


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
    if epsilon_permanent is not None and epsilon_permanent < epsilon:
        raise MechanismError(f"epsilon_permanent must be at least epsilon = {epsilon:g}, got {epsilon_permanent:g}")
    mechanism = _make(name, parameters, domain, epsilon, epsilon_permanent)
    facts = describe(mechanism)
    for key, value in parameters.items():
        if key not in facts or name == "auto":
            takes = ", ".join(mechanism.parameters) if name != "auto" else ""
            raise MechanismError(f"{name} takes {takes or 'no parameters'}, got {key!r}")
        if facts[key] != value:
            raise MechanismError(f"{key} of {name} must be {facts[key]}, as derived, got {value}")
    return mechanism


def describe(mechanism: Mechanism) -> dict[str, object]:
    """What fixes a mechanism, JSON-ready: its name, parameters, number of symbols and the integers it samples.

    `build` takes it back, with the same domain and epsilons, and makes an equal mechanism.
    """
    return {"name": mechanism.name, **mechanism.parameters, "symbols": mechanism.symbols, **mechanism.sampled}


def _make(
    name: str, parameters: Mapping[str, object], domain: int, epsilon: float, epsilon_permanent: float | None
) -> Mechanism:
    once: Tilted
    if name == "auto":
        once = choose(domain, epsilon, SYMBOLS_AUTO if epsilon_permanent is None else most_symbols_permanent(domain))
    else:
        family = DESIGNS[name]
        needed = [field.name for field in fields(family) if field.name not in ("domain", "weights")]
        given = _integers(name, needed, parameters)
        once = family(domain, Weights.of(epsilon), **given) if given else family.best(domain, epsilon)
    return once if epsilon_permanent is None else Permanent.of(once, epsilon_permanent)


def _integers(name: str, needed: list[str], parameters: Mapping[str, object]) -> dict[str, int]:
    given = {key: parameters[key] for key in needed if key in parameters}
    if given and len(given) < len(needed):
        missing = next(key for key in needed if key not in given)
        raise MechanismError(f"{name} takes {', '.join(needed)} together or none of them; {missing} is missing")
    integers = {}
    for key, value in given.items():
        if not isinstance(value, int) or isinstance(value, bool):
            raise MechanismError(f"{key} of {name} must be a whole number, got {value!r}")
        integers[key] = value
    return integers
