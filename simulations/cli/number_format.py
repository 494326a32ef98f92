"""Numbers as people read them."""

from __future__ import annotations


def points(share: float) -> str:
    """A share as percentage points, with two digits that count."""
    if share > 1:
        return "more than 100 points"
    number = float(f"{100 * share:.2g}")
    return f"{number:g} point{'' if number == 1 else 's'}"


def half(share: float) -> str:
    """Half the length of an interval, in percentage points."""
    if share > 1:
        return "over ±100"
    return f"±{100 * share:.2f}" if share < 0.1 else f"±{100 * share:.1f}"


def round_up(number: int) -> int:
    """A number of devices with two digits that count, rounded up."""
    unit = int(10 ** max(len(str(number)) - 2, 0))
    return -(-number // unit) * unit
