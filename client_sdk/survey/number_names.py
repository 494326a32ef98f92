"""Numbers as strings: in the names of segments, and as values of `top` and `distinct` signals."""

from __future__ import annotations

import math


def edge_name(edge: float) -> str:
    """An edge as its segments' names contain it, with 15 significant digits: every digit that was written."""
    return f"{edge:.15g}"


def number_name(value: float) -> str:
    """The string that a number counts as: 7.0 is `7`, and -0.0 is `0`."""
    return edge_name(value + 0)


def is_number_name(text: str) -> bool:
    """Whether some number counts as this string."""
    try:
        number = float(text)
    except ValueError:
        return False
    return math.isfinite(number) and number_name(number) == text
