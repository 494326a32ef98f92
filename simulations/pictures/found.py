"""What a tuning and a simulation found, as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from aggregator.intervals import one_sided
from client_sdk.wording import counted
from simulations.definition import Definition
from simulations.numerals import points
from simulations.outlook import Demand, lifetime_epsilon
from simulations.pictures.bars import Bar, Bars, Group
from simulations.pictures.chart import MOST_LINES, Axis, Chart, Line, distinct
from simulations.planning import POWER, detectable_share
from simulations.simulate import Outcome
from simulations.tune import Tuning

MOST_BARS = 30


@dataclass(frozen=True)
class Picture:
    """A chart, or bars, with a short name, which becomes its file's name."""

    name: str
    chart: Chart | Bars


def tuning_pictures(definition: Definition, demand: Demand, tuning: Tuning) -> list[Picture]:
    """Error against epsilon with the target, detectable share against devices, lifetime epsilon over time."""
    return [
        Picture("error", _error(demand, tuning)),
        Picture("detectable", _detectable(definition, demand, tuning)),
        Picture("lifetime", _lifetime(definition, demand, tuning)),
    ]


def _error(demand: Demand, tuning: Tuning) -> Chart:
    rows = [row for group in tuning.outlooks.values() for row in group]
    lines = [
        Line(id, [(row.epsilon, row.half_width) for row in rows if row.question == id])
        for id in dict.fromkeys(row.question for row in rows)
    ]
    lines = sorted(distinct(lines), key=lambda line: -line.points[-1][1])[:MOST_LINES]
    return Chart(
        "Error against epsilon",
        Axis.over("epsilon of one report", list(tuning.outlooks), log=True),
        Axis.over(
            "half the widest interval, per epoch",
            [*(y for line in lines for _, y in line.points), demand.target],
            log=True,
            percent=True,
        ),
        lines,
        (demand.target, f"target: {points(demand.target)}"),
    )


def _detectable(definition: Definition, demand: Demand, tuning: Tuning) -> Chart:
    """Of the question that tells least, at up to five epsilons of the grid."""
    grid = list(tuning.outlooks)
    chosen = [grid[int(index)] for index in dict.fromkeys(np.linspace(0, len(grid) - 1, 5).round().tolist())]
    devices = [demand.devices * 10 ** (step / 4) for step in range(-4, 7)]
    lines = []
    for epsilon in chosen:
        survey = definition.at(epsilon)
        worst = max(tuning.outlooks[epsilon], key=lambda row: row.detectable_share or 1.0)
        channel = survey.question(worst.question).mechanism.channel
        spots = []
        for number in devices:
            reports = round(number * demand.reports(survey) / demand.devices)
            share = detectable_share(channel, reports, confidence=one_sided(demand.confidence)) if reports else None
            if share is not None:
                spots.append((number, share))
        if spots:
            lines.append(Line(f"epsilon {epsilon:g} ({worst.question})", spots))
    shares = [y for line in lines for _, y in line.points]
    return Chart(
        "Smallest share told from zero, against devices",
        Axis.over("devices", devices, log=True),
        Axis.over(f"share of customers, seen in {10 * POWER:g} of 10 epochs", shares, log=True, percent=True),
        lines,
    )


def _lifetime(definition: Definition, demand: Demand, tuning: Tuning) -> Chart:
    """Of the compared kinds of memory, at the epsilon at which they were compared, with the ceiling if there is one."""
    epochs = range(1, min(demand.epochs or definition.survey.epochs, definition.survey.epochs) + 1)
    lines = []
    for survey in tuning.compared:
        every = survey.privacy.answers_every
        word = survey.epoch.value
        often = f"every {word}" if every == 1 else f"one {word} in {every}"
        kind, held = survey.privacy.memory, ""
        if survey.permanent:
            changes = counted(survey.privacy.changes or 0, "change")
            held = f"epsilon_permanent {survey.privacy.epsilon_permanent:g}, {changes}"
            held = f" ({'' if definition.survey.permanent else 'supposed: '}{held})"
        spent = [0.0, *(lifetime_epsilon(survey, epoch) for epoch in epochs)]
        steps = [(epoch, spent[epoch + after]) for epoch in epochs for after in (-1, 0)]
        lines.append(Line(f"{kind}, {often}{held}", steps[1:]))
    at = "".join(f", at epsilon {epsilon:g} a report" for epsilon in {one.privacy.epsilon for one in tuning.compared})
    limit = (demand.ceiling, f"ceiling: {demand.ceiling:g}")
    levels = [y for line in lines for _, y in line.points] + [demand.ceiling]
    return Chart(
        f"Lifetime epsilon of a device{at}",
        Axis.over(f"{definition.survey.epoch}s since the survey began", list(epochs), whole=True),
        Axis.over("epsilon of all its reports, at most", levels),
        distinct(lines)[:MOST_LINES],
        limit,
    )


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
