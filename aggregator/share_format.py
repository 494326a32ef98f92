"""Formatting of shares and intervals: percentages, and a plot of an interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console

from hushtally.aggregator.row import Row

PLOT_WIDTH = 24  # characters of a plot


def percent(share: float | None) -> str:
    """Format a share as a percentage with one decimal, like "-2.1%", or "-" for None. A zero has no sign."""
    return "-" if share is None else f"{share:z.1%}"


def span(low: float | None, high: float | None) -> str:
    """Format an interval as percentages, like "-2.1% to 4.8%", or "-" if an end is None.

    Ends below 0% and above 100% are not cut, so that the interval contains its estimate.
    """
    return "-" if low is None or high is None else f"{percent(low)} to {percent(high)}"


def interval_plot(shares: Sequence[Row], console: Console) -> Callable[[Row], str]:
    """Return a function that plots the estimate of a row as a dot on its interval.

    All rows of `shares` use one scale, from 0 to the highest upper end. The plot cuts ends outside 0 to 1.
    """
    line, dot = ("─", "●") if (console.encoding or "").lower().startswith("utf") else ("-", "o")
    top = max(_possible(row.high or 0.0) for row in shares) or 1.0

    def column(share: float) -> int:
        return min(int(_possible(share) / top * PLOT_WIDTH), PLOT_WIDTH - 1)

    def plot(row: Row) -> str:
        low, middle, high = (column(end or 0.0) for end in (row.low, row.estimate, row.high))
        middle = min(max(middle, low), high)
        return " " * low + line * (middle - low) + dot + line * (high - middle)

    return plot


def _possible(share: float) -> float:
    return min(max(share, 0.0), 1.0)
