"""Canonical JSON (RFC 8785): the exact string that a digest is computed from."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical_json(value: Any) -> str:
    """Return the only canonical JSON string of a value: keys sorted, no spaces, numbers as in ECMAScript.

    value: None, bool, int or float within +-(2^53 - 1), str, list, tuple or dict with str keys. Raises ValueError for a
    larger number, which JSON parsers would round.
    """
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return "{" + ",".join(f"{canonical_json(key)}:{canonical_json(value[key])}" for key in keys) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(canonical_json, value)) + "]"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number(value)
    return json.dumps(value, ensure_ascii=False)


def sha256(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON of a value, as 64 hex digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def _number(value: int | float) -> str:
    if not abs(value) < 2**53:
        raise ValueError("a number in canonical JSON must be within +-(2^53 - 1)")
    if value == int(value):
        return str(int(value))
    digits, _, exponent = repr(value).partition("e")
    if not exponent:
        # Python switches to exponents below 1e-4, ECMAScript below 1e-6
        return digits
    power = int(exponent)
    if power < -6:
        return f"{digits}e{power}"
    sign, digits = ("-", digits[1:]) if digits.startswith("-") else ("", digits)
    return f"{sign}0.{'0' * (-power - 1)}{digits.replace('.', '')}"
