"""The picture of the demo: every estimate with its interval and the true value."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from hushtally.client_sdk.explain.wording import counted
from hushtally.simulations.charts.bar_chart import Bar, BarChart, Group
from hushtally.simulations.demo.comparison import Comparison


def demo_picture(comparisons: Sequence[Comparison], customers: int, epsilon: float) -> BarChart:
    """Draw the published shares of all customers, by question."""
    shown = [one for one in comparisons if not one.row.cohort and one.row.published]
    groups = []
    for question, group in groupby(shown, key=lambda one: one.row.question):
        rows = list(group)
        bars = [
            Bar(one.row.segment, one.row.estimate or 0.0, one.row.low or 0.0, one.row.high or 0.0, one.truth)
            for one in rows
        ]
        groups.append(Group(question, counted(rows[0].row.reports, "report"), bars))
    title = f"{counted(customers, 'customer')}, one randomized answer each, epsilon {epsilon:g}"
    return BarChart(title, "estimate with its 95% interval", groups)
