"""The description of a mechanism, derived again from what a survey declares."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from math import comb, floor, isqrt
from typing import Any

from reference_client.invalid import require
from reference_client.mechanism import DESIGNS
from reference_client.weights import DIGITS, FAR, exponential, weights

MAX_SYMBOLS = 2**53 - 1
PARAMETERS = {
    "direct": ("",),
    "subset": ("w",),
    "affine": ("r w", "r w t"),
    "projective": ("r t",),
    "sue": ("",),
    "oue": ("",),
    "rappor": ("k h m f p q",),
}
MAX_UNARY, MAX_RAPPOR = 52, 4_096  # values
MAX_AFFINE, MAX_PROJECTIVE = 2**24, 2**26  # vectors
BILLION = 10**9


def description(stated: dict[str, Any], d: int, epsilon: float, permanent: float | None) -> dict[str, Any]:
    """What the description must be, from its name and parameters. Raises InvalidSurvey if they are not allowed.

    d: the number of values. permanent: epsilon_permanent, or None without permanent memory.
    """
    name = stated["name"]
    choices = [choice.split() for choice in PARAMETERS[name]]
    keys = next((keys for keys in reversed(choices) if set(keys) <= stated.keys()), None)
    require(keys is not None)
    parameters = {key: stated[key] for key in keys or ()}
    if name == "rappor":
        return {"name": name, **parameters, **rappor(parameters, d, epsilon, permanent)}
    derived = design(name, parameters, d, epsilon, permanent) if name in DESIGNS else unary(name, d, epsilon, permanent)
    return {"name": name, **parameters, **derived}


def design(name: str, parameters: dict[str, Any], d: int, epsilon: float, permanent: float | None) -> dict[str, Any]:
    require(all(type(value) is int for value in parameters.values()) and parameters.get("t", 2) >= 2)
    check_parameters(name, d, **parameters)
    shape = DESIGNS[name](parameters, d)
    require(shape.symbols <= MAX_SYMBOLS)
    derived: dict[str, Any] = {"symbols": shape.symbols, "weights": list(weights(epsilon))}
    if permanent is not None:
        background = Fraction(shape.per_value, shape.symbols)
        rates = [supporting(weights(one), shape.per_value, shape.symbols) for one in (epsilon, permanent)]
        derived |= {"permanent_weights": list(weights(permanent)), "gamma": gamma(*rates, background)}
    return derived


def check_parameters(name: str, d: int, w: int = 1, r: int = 2, t: int = 1, **_: int) -> None:
    if name == "subset":
        require(1 <= w < d and comb(d, w) <= MAX_SYMBOLS)
    if name == "affine" and t == 1:
        root = isqrt(r)
        require(d <= r <= isqrt(MAX_SYMBOLS) and (is_prime(r) or (r == root**2 and r % 2 == 1 and is_prime(root))))
    if name == "affine" and t != 1:
        require(2 <= t < 24 and 2 <= r <= MAX_AFFINE and d <= r**t and r ** (t + 1) <= MAX_AFFINE and is_prime(r))
    if name == "affine":
        require(1 <= w < r)
    if name == "projective":
        require(2 <= t <= 26 and 2 <= r <= MAX_PROJECTIVE and r**t <= MAX_PROJECTIVE and is_prime(r))
        require((r**t - 1) // (r - 1) >= d)


def is_prime(n: int) -> bool:
    return n > 1 and all(n % factor for factor in range(2, isqrt(n) + 1))


def supporting(pair: Sequence[int], per_value: int, symbols: int) -> Fraction:
    """The p of a design: how likely the symbol supports the true value."""
    near, far = pair
    return Fraction(near * per_value, near * per_value + far * (symbols - per_value))


def gamma(once: Fraction, lasting: Fraction, background: Fraction) -> str:
    require(lasting >= once)
    return str(floor(2**64 * (once - background) / (lasting - background)))


def unary(name: str, d: int, epsilon: float, permanent: float | None) -> dict[str, Any]:
    require(d <= MAX_UNARY)
    if name == "oue":
        near, far = weights(epsilon)
        truth, others = [1, 2], [far, near + far]
    else:
        root = floor(DIGITS.multiply(DIGITS.sqrt(exponential(epsilon)), FAR))
        truth, others = [root, root + FAR], [FAR, root + FAR]
    derived: dict[str, Any] = {"symbols": 2**d, "truth": truth, "others": others}
    if permanent is not None:
        near, far = weights(permanent)
        k, n = others
        odds = Fraction(near * k, far * (n - k))
        lasting = [odds.numerator, odds.numerator + odds.denominator]
        derived |= {"permanent_truth": lasting, "permanent_others": others}
        derived["gamma"] = gamma(Fraction(*truth), Fraction(*lasting), Fraction(*others))
    return derived


def rappor(parameters: dict[str, Any], d: int, epsilon: float, permanent: float | None) -> dict[str, Any]:
    k, h, m = (parameters[key] for key in "khm")
    require(all(type(value) is int for value in (k, h, m)))
    f, p, q = (decimal(parameters[key]) for key in "fpq")
    require(0 < f < 1 and 0 <= p < q <= 1 and d <= MAX_RAPPOR)
    require(1 <= h <= k <= 52 and m >= 1 and m * 2**k <= MAX_SYMBOLS)
    dependent = 1 if h == 1 else 0
    require(m * (k - dependent) + dependent >= d)
    one, zero = (1 - f / 2) * q + f / 2 * p, f / 2 * q + (1 - f / 2) * p
    require(logarithm((one * (1 - zero) / (zero * (1 - one))) ** h) <= epsilon)
    require(permanent is None or logarithm(((1 - f / 2) / (f / 2)) ** (2 * h)) <= permanent)
    coins = {"permanent_set": 1 - f / 2, "permanent_unset": f / 2, "set": q, "unset": p}
    return {"symbols": m * 2**k, **{name: list(coin.as_integer_ratio()) for name, coin in coins.items()}}


def decimal(value: Any) -> Fraction:
    """The decimal as written, not the nearest double. It has at most 9 places."""
    require(isinstance(value, int | float) and not isinstance(value, bool))
    fraction = Fraction(repr(value))
    require(BILLION % fraction.denominator == 0)
    return fraction


def logarithm(ratio: Fraction) -> float:
    return float(DIGITS.ln(DIGITS.divide(Decimal(ratio.numerator), Decimal(ratio.denominator))))
