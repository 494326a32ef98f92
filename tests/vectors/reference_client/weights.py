"""The weights that follow from epsilon."""

from __future__ import annotations

from decimal import Context, Decimal
from math import floor

FAR = 2**32
DIGITS = Context(prec=50)


def exponential(epsilon: float) -> Decimal:
    return DIGITS.exp(Decimal(repr(float(epsilon))))


def weights(epsilon: float) -> tuple[int, int]:
    """near and far."""
    return floor(DIGITS.multiply(exponential(epsilon), FAR)), FAR
