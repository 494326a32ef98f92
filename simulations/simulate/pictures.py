"""Pictures of what a simulation found."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from hushtally.client_sdk.explain.wording import counted
from hushtally.simulations.charts.bars import Bar, Bars, Group
from hushtally.simulations.charts.lines import MOST_LINES, Axis, Chart, Line
from hushtally.simulations.cli.picture import Picture
from hushtally.simulations.simulate.simulation import Outcome

MOST_BARS = 30


def simulation_pictures(outcomes: Sequence[Outcome]) -> list[Picture]:
    """For every question the estimates with their intervals and the truth: bars or, over several epochs, lines."""
    groups = groupby((one for one in outcomes if one.estimate is not None), key=lambda one: one.question)
    pictures = []
    for question, group in groups:
        rows = list(group)
        several = any(row.epoch != rows[0].epoch for row in rows)
        pictures.append(Picture(question, _over_epochs(rows) if several else _in_one_epoch(rows)))
    return pictures


def _in_one_epoch(rows: Sequence[Outcome]) -> Bars:
    """All segments in their order, or the largest."""
    shown = rows if len(rows) <= MOST_BARS else sorted(rows, key=lambda row: -row.truth)[:MOST_BARS]
    bars = [Bar(row.segment, row.estimate or 0.0, *_span(row), row.truth) for row in shown]
    about = counted(round(rows[0].reports), "report") + " on average" * (rows[0].repetitions > 1)
    words = (_titled(rows, len(shown)), _key(rows[0]), [Group(rows[0].epoch, about, bars)])
    # A mean interval that leaves out the truth says that most did, not that one missed it.
    return Bars(*words) if rows[0].repetitions == 1 else Bars(*words, "truth; outside the bar: missed mostly")


def _over_epochs(rows: Sequence[Outcome]) -> Chart:
    """The largest segments, epoch by epoch."""
    epochs = {epoch: number for number, epoch in enumerate(dict.fromkeys(row.epoch for row in rows), 1)}
    segments = sorted({row.segment: row.truth for row in rows}.items(), key=lambda item: -item[1])
    lines = []
    for segment, _ in segments[:MOST_LINES]:
        mine = [row for row in rows if row.segment == segment]
        spots = [(epochs[row.epoch], row.estimate or 0.0) for row in mine]
        lines.append(Line(segment, spots, [_span(row) for row in mine], [row.truth for row in mine]))
    shares = [y for line in lines for y in (*line.truths, *(end for ends in line.spans for end in ends))]
    x = Axis("epochs since the survey began", 0.5, len(epochs) + 0.5, whole=True)
    y = Axis.over("share of customers", shares, percent=True)
    return Chart(_titled(rows, len(lines)), x, y, lines, key=_key(rows[0]))


def _titled(rows: Sequence[Outcome], shown: int) -> str:
    segments = len({row.segment for row in rows})
    words = f": the largest {shown} of {segments:,} segments" if shown < segments else ""
    return f"{rows[0].question}{words}"


def _key(row: Outcome) -> str:
    """What a mark is: an estimate with its own interval or, with several repetitions, means of both."""
    if row.repetitions == 1:
        return "estimate with its 95% interval"
    return f"mean of {row.repetitions:,} estimates, mean 95% interval"


def _span(row: Outcome) -> tuple[float, float]:
    if row.repetitions == 1:
        return row.low or 0.0, row.high or 0.0
    estimate, half = row.estimate or 0.0, row.half_width or 0.0
    return estimate - half, estimate + half
