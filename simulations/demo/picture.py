"""The demonstration as a picture: every estimate with its interval, beside the truth."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from hushtally.client_sdk.explain.wording import counted
from hushtally.simulations.charts.bars import Bar, Bars, Group
from hushtally.simulations.demo.replay import Line


def picture(lines: Sequence[Line], customers: int, epsilon: float) -> Bars:
    """The shares of all customers, question by question."""
    shown = [line for line in lines if not line.row.cohort and line.row.published]
    groups = []
    for question, group in groupby(shown, key=lambda line: line.row.question):
        rows = list(group)
        bars = [
            Bar(line.row.segment, line.row.estimate or 0.0, line.row.low or 0.0, line.row.high or 0.0, line.truth)
            for line in rows
        ]
        groups.append(Group(question, counted(rows[0].row.reports, "report"), bars))
    title = f"{counted(customers, 'customer')}, one randomized answer each, epsilon {epsilon:g}"
    return Bars(title, "estimate with its 95% interval", groups)
