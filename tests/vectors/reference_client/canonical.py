"""Canonical JSON (RFC 8785), and the digest of a survey."""

from __future__ import annotations

from decimal import Decimal
from hashlib import sha256
from typing import Any

LIMIT = 2**53
ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def digest(survey: Any) -> str:
    return sha256(canonical(survey).encode("utf-8")).hexdigest()


def canonical(value: Any) -> str:
    """Raises ValueError for a value without canonical JSON."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, str):
        return string(value)
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
    return "{" + ",".join(f"{string(key)}:{canonical(value[key])}" for key in keys) + "}"


def string(value: str) -> str:
    value.encode("utf-8")  # refuses half of a surrogate pair
    characters = (ESCAPES.get(one) or (one if one >= " " else f"\\u{ord(one):04x}") for one in value)
    return '"' + "".join(characters) + '"'


def number(value: float) -> str:
    """As ECMAScript writes it: the fewest digits that give the same double."""
    if not abs(value) < LIMIT:
        raise ValueError("too large for a double to hold every integer")
    if value == int(value):
        return str(int(value))
    negative, digits, exponent = Decimal(repr(value)).as_tuple()
    text = "".join(map(str, digits))
    point = len(text) + int(exponent)  # the value is 0.text times 10 to the power of point
    if point > 0:
        text = f"{text[:point]}.{text[point:]}"
    elif point > -6:
        text = f"0.{'0' * -point}{text}"
    else:
        text = ".".join(filter(None, (text[0], text[1:]))) + f"e{point - 1}"
    return "-" * negative + text
