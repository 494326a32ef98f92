"""How numbers are written as segment names."""

from __future__ import annotations

import math


def edge_name(edge: float) -> str:
    """An edge as the names of its segments hold it: every digit that was written."""
    return f"{edge:.15g}"


def number_name(value: float) -> str:
    """How a number counts among texts: 7.0 is 7, and -0.0 is 0."""
    return edge_name(value + 0)


def is_number_name(text: str) -> bool:
    """Whether a number counts as this text."""
    try:
        number = float(text)
    except ValueError:
        return False
    return math.isfinite(number) and number_name(number) == text
