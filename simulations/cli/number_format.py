"""Formats of numbers in tables and messages."""

from __future__ import annotations


def margin(share: float) -> str:
    """Format a margin of error in percentage points with two significant digits, like "±2.5 points"."""
    if share > 1:
        return "more than ±100 points"
    number = float(f"{100 * share:.2g}")
    return f"±{number:g} point{'' if number == 1 else 's'}"


def plus_minus(half_width: float) -> str:
    """Format a half-width in percentage points for a table, like "±2.51"."""
    if half_width > 1:
        return "over ±100"
    return f"±{100 * half_width:.2f}" if half_width < 0.1 else f"±{100 * half_width:.1f}"


def round_up(number: int) -> int:
    """Round a positive number up to two significant digits."""
    unit = int(10 ** max(len(str(number)) - 2, 0))
    return -(-number // unit) * unit
