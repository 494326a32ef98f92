"""The channel of a mechanism: p and q, from which a collector estimates. A device does not need it."""

from __future__ import annotations

from fractions import Fraction
from math import comb
from typing import Any

from reference_client.mechanism import DESIGNS


def channel(description: dict[str, Any], d: int) -> tuple[Fraction, Fraction]:
    """p and q: how likely a report supports a value that is true, and one that is not."""
    if description["name"] == "rappor":
        one, zero = (Fraction(*description[name]) for name in ("set", "unset"))
        permanent = (Fraction(*description[name]) for name in ("permanent_set", "permanent_unset"))
        p, q = (bit * one + (1 - bit) * zero for bit in permanent)
        return p, q
    if "gamma" not in description:
        return once(description, d, "")
    gamma, background = Fraction(int(description["gamma"]), 2**64), baseline(description, d)
    p, q = (gamma * rate + (1 - gamma) * background for rate in once(description, d, "permanent_"))
    return p, q


def once(description: dict[str, Any], d: int, prefix: str) -> tuple[Fraction, Fraction]:
    """The channel of one draw with the numbers of the description that have this prefix."""
    if description["name"] not in DESIGNS:
        return Fraction(*description[f"{prefix}truth"]), Fraction(*description[f"{prefix}others"])
    design = DESIGNS[description["name"]](description, d)
    near, far = description[f"{prefix}weights"]
    c, i = design.per_value, per_pair(description, d)
    total = near * c + far * (design.symbols - c)
    return Fraction(near * c, total), Fraction(near * i + far * (c - i), total)


def baseline(description: dict[str, Any], d: int) -> Fraction:
    """How likely a baseline symbol supports a value."""
    if description["name"] not in DESIGNS:
        return Fraction(*description["others"])
    design = DESIGNS[description["name"]](description, d)
    return Fraction(design.per_value, design.symbols)


def per_pair(description: dict[str, Any], d: int) -> int:
    """The number of symbols that support both of two values (i)."""
    r, w, t = (description.get(name, 1) for name in ("r", "w", "t"))
    if description["name"] == "subset":
        return comb(d - 2, w - 2) if w > 1 else 0
    if description["name"] == "affine":
        return int(w * (r ** (t - 1) * w - 1))
    return int((r ** (t - 2) - 1) // (r - 1)) if description["name"] == "projective" else 0
