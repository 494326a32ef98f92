"""What a device stores of a field that the app records."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

LARGEST = 10**12


def stored(value: Any, summed: bool) -> float | str | None:
    """The stored value, or None if the value is dropped. `summed`: whether a survey sums the field."""
    if isinstance(value, str):
        return value if len(value) <= 100 and not summed else None
    if isinstance(value, dict) and "decimal" in value:
        try:
            value = Fraction(value["decimal"])
        except ValueError:  # NaN, and infinity
            return None
    if isinstance(value, bool) or not isinstance(value, int | float | Fraction) or not abs(value) <= LARGEST:
        return None
    return float(value)
