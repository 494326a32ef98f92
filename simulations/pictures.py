"""Pictures of a tuning and of a simulation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from simulations.chart import MOST_LINES, Axis, Chart, Line
from simulations.definition import Definition
from simulations.numerals import points
from simulations.outlook import Demand, lifetime_epsilon
from simulations.planning import detectable_share, one_sided
from simulations.simulate import Outcome
from simulations.tune import Tuning


@dataclass(frozen=True)
class Picture:
    """A chart with a short name, which becomes its file's name."""

    name: str
    chart: Chart


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
    lines = sorted(lines, key=lambda line: -line.points[-1][1])[:MOST_LINES]
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
        Axis.over("share of customers, with power 80%", shares, log=True, percent=True),
        lines,
    )


def _lifetime(definition: Definition, demand: Demand, tuning: Tuning) -> Chart:
    """Of the compared kinds of memory, at the epsilon at which they were compared."""
    epochs = range(1, min(demand.epochs or definition.survey.epochs, definition.survey.epochs) + 1)
    lines = []
    for survey in tuning.compared[:MOST_LINES]:
        every = survey.privacy.answers_every
        word = survey.epoch.value
        often = f"every {word}" if every == 1 else f"one {word} in {every}"
        name = "permanent" if survey.permanent else "fresh"
        spent = [0.0, *(lifetime_epsilon(survey, epoch) for epoch in epochs)]
        steps = [(epoch, spent[epoch + after]) for epoch in epochs for after in (-1, 0)]
        lines.append(Line(f"{name}, {often}", steps[1:]))
    return Chart(
        "Lifetime epsilon of a device",
        Axis.over(f"{definition.survey.epoch}s since the survey began", list(epochs)),
        Axis.over("epsilon of all its reports, at most", [y for line in lines for _, y in line.points]),
        lines,
    )


def simulation_pictures(outcomes: Sequence[Outcome]) -> list[Picture]:
    """For every question the mean estimates with intervals and the truth, epoch by epoch, of its largest segments.

    The interval is the estimate's own or, with several repetitions, the mean estimate's with the mean half width.
    """
    pictures = []
    for question, group in groupby(outcomes, key=lambda one: one.question):
        rows = [row for row in group if row.estimate is not None]
        epochs = {epoch: number for number, epoch in enumerate(dict.fromkeys(row.epoch for row in rows), 1)}
        segments = sorted({row.segment: row.truth for row in rows}.items(), key=lambda item: -item[1])
        lines = []
        for segment, _ in segments[:MOST_LINES]:
            mine = [row for row in rows if row.segment == segment]
            spots = [(epochs[row.epoch], row.estimate or 0.0) for row in mine]
            lines.append(Line(segment, spots, [_span(row) for row in mine], [row.truth for row in mine]))
        if lines:
            shares = [y for line in lines for y in (*line.truths, *(end for ends in line.spans for end in ends))]
            x = Axis("epochs since the survey began", 0.5, len(epochs) + 0.5, whole=True)
            y = Axis.over("share of customers", shares, percent=True)
            hidden = len(segments) - len(lines)
            title = f"{question}: the largest {len(lines)} of {len(segments):,} segments" if hidden else question
            pictures.append(Picture(question, Chart(title, x, y, lines)))
    return pictures


def _span(row: Outcome) -> tuple[float, float]:
    if row.repetitions == 1:
        return row.low or 0.0, row.high or 0.0
    estimate, half = row.estimate or 0.0, row.half_width or 0.0
    return estimate - half, estimate + half
