"""Pictures of a simulation."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from hushtally.client_sdk.explain.wording import counted
from hushtally.simulations.charts.axis import Axis
from hushtally.simulations.charts.bar_chart import Bar, BarChart, Group
from hushtally.simulations.charts.line_chart import MAX_LINES, Line, LineChart
from hushtally.simulations.cli.picture import Picture
from hushtally.simulations.simulate.simulation import Outcome

MAX_BARS = 30


def simulation_pictures(outcomes: Sequence[Outcome]) -> list[Picture]:
    """Draw the estimates of each question with intervals and true values: bars for one epoch, lines for several."""
    groups = groupby((one for one in outcomes if one.estimate is not None), key=lambda one: one.question)
    pictures = []
    for question, group in groups:
        rows = list(group)
        several = any(row.epoch != rows[0].epoch for row in rows)
        pictures.append(Picture(question, _lines(rows) if several else _bars(rows)))
    return pictures


def _bars(rows: Sequence[Outcome]) -> BarChart:
    """Draw all segments in their order, or only the largest if there are too many."""
    shown = rows if len(rows) <= MAX_BARS else sorted(rows, key=lambda row: -row.truth)[:MAX_BARS]
    bars = [Bar(row.segment, row.estimate or 0.0, *_interval(row), row.truth) for row in shown]
    subtitle = counted(round(rows[0].reports), "report") + " on average" * (rows[0].repetitions > 1)
    chart = (_title(rows, len(shown)), _key(rows[0]), [Group(rows[0].epoch, subtitle, bars)])
    # if a mean interval does not contain the true value, most intervals missed it, but not all
    return BarChart(*chart) if rows[0].repetitions == 1 else BarChart(*chart, "true value; outside: most miss")


def _lines(rows: Sequence[Outcome]) -> LineChart:
    """Draw the largest segments over the epochs."""
    epochs = {epoch: number for number, epoch in enumerate(dict.fromkeys(row.epoch for row in rows), 1)}
    segments = sorted({row.segment: row.truth for row in rows}.items(), key=lambda item: -item[1])
    lines = []
    for segment, _ in segments[:MAX_LINES]:
        of_segment = [row for row in rows if row.segment == segment]
        points = [(epochs[row.epoch], row.estimate or 0.0) for row in of_segment]
        lines.append(Line(segment, points, list(map(_interval, of_segment)), [row.truth for row in of_segment]))
    shares = [y for line in lines for y in (*line.truths, *(end for ends in line.intervals for end in ends))]
    x = Axis("epochs since the start of the survey", 0.5, len(epochs) + 0.5, whole=True)
    y = Axis.over("share of customers", shares, percent=True)
    return LineChart(_title(rows, len(lines)), x, y, lines, key=_key(rows[0]))


def _title(rows: Sequence[Outcome], shown: int) -> str:
    segments = len({row.segment for row in rows})
    cut = f": the largest {shown} of {segments:,} segments" if shown < segments else ""
    return f"{rows[0].question}{cut}"


def _key(row: Outcome) -> str:
    """Return the meaning of a marker: one estimate, or the mean of several repetitions."""
    if row.repetitions == 1:
        return "estimate with its 95% interval"
    return f"mean of {row.repetitions:,} estimates, mean 95% interval"


def _interval(row: Outcome) -> tuple[float, float]:
    if row.repetitions == 1:
        return row.low or 0.0, row.high or 0.0
    estimate, half_width = row.estimate or 0.0, row.half_width or 0.0
    return estimate - half_width, estimate + half_width
