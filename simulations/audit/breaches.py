"""Breaches: sentences about what an audit found wrong with a question."""

from __future__ import annotations

from hushtally.client_sdk.mechanisms import Mechanism


def invalid_symbol(symbol: int, mechanism: Mechanism) -> str:
    """A report has a symbol that the mechanism does not have."""
    return f"symbol {symbol} is not among the {mechanism.symbols:,} symbols of the mechanism"


def wrong_support_rate(value: int, truth: int, rate: str, expected: str) -> str:
    """A value is supported at a rate that differs from the channel's; the rates are formatted figures."""
    return (
        f"value {value} is supported at the rate {rate} if the true value is {truth}, but the channel's rate is"
        f" {expected}; estimates are biased"
    )


def epsilon_exceeded(epsilon: str, claimed: float) -> str:
    """The reports reveal more than claimed; the epsilon is a formatted figure."""
    return f"the reports reveal epsilon {epsilon}, which is more than the claimed {claimed:g}"
