"""Pictures of the results of tune."""

from __future__ import annotations

import numpy as np

from hushtally.aggregator.intervals import one_sided
from hushtally.client_sdk.explain.wording import counted
from hushtally.client_sdk.survey import Survey
from hushtally.simulations.accuracy import POWER, detectable_share
from hushtally.simulations.charts.axis import Axis
from hushtally.simulations.charts.line_chart import MAX_LINES, Line, LineChart, merge_equal
from hushtally.simulations.charts.shapes import Point
from hushtally.simulations.cli.number_format import margin
from hushtally.simulations.cli.picture import Picture
from hushtally.simulations.definition import Definition
from hushtally.simulations.tune.constraints import Constraints
from hushtally.simulations.tune.lifetime import lifetime_epsilon
from hushtally.simulations.tune.tuning import Tuning

MAX_EPSILONS = 5  # lines in the picture of detectable shares


def tuning_pictures(definition: Definition, constraints: Constraints, tuning: Tuning) -> list[Picture]:
    """Draw the margin of error by epsilon, the detectable share by devices, and the lifetime epsilon over time."""
    return [
        Picture("error", _margin_of_error(constraints, tuning)),
        Picture("detectable", _detectable_shares(definition, constraints, tuning)),
        Picture("lifetime", _lifetime_epsilons(definition, constraints, tuning)),
    ]


def _margin_of_error(constraints: Constraints, tuning: Tuning) -> LineChart:
    rows = [row for group in tuning.forecasts.values() for row in group]
    lines = [
        Line(id, [(row.epsilon, row.half_width) for row in rows if row.question == id])
        for id in dict.fromkeys(row.question for row in rows)
    ]
    lines = sorted(merge_equal(lines), key=lambda line: -line.points[-1][1])[:MAX_LINES]
    return LineChart(
        "Margin of error by epsilon",
        Axis.over("epsilon of one report", list(tuning.forecasts), log=True),
        Axis.over(
            "margin of error of the widest segment, per epoch",
            [*(y for line in lines for _, y in line.points), constraints.target],
            log=True,
            percent=True,
        ),
        lines,
        (constraints.target, f"target: {margin(constraints.target)}"),
    )


def _detectable_shares(definition: Definition, constraints: Constraints, tuning: Tuning) -> LineChart:
    """Draw the detectable share of the least accurate question, at up to five epsilons of the grid."""
    grid = list(tuning.forecasts)
    indexes = dict.fromkeys(np.linspace(0, len(grid) - 1, MAX_EPSILONS).round().tolist())
    devices = [constraints.devices * 10 ** (step / 4) for step in range(-4, 7)]
    lines = []
    for epsilon in [grid[int(index)] for index in indexes]:
        survey = definition.at(epsilon)
        worst = max(tuning.forecasts[epsilon], key=lambda row: row.detectable_share or 1.0)
        if points := _detectable_points(survey, worst.question, constraints, devices):
            lines.append(Line(f"epsilon {epsilon:g} ({worst.question})", points))
    shares = [y for line in lines for _, y in line.points]
    return LineChart(
        "Smallest detectable share by number of devices",
        Axis.over("devices", devices, log=True),
        Axis.over(f"share of customers, detected in {10 * POWER:g} of 10 epochs", shares, log=True, percent=True),
        lines,
    )


def _detectable_points(survey: Survey, id: str, constraints: Constraints, devices: list[float]) -> list[Point]:
    channel = survey.question(id).mechanism.channel
    points = []
    for number in devices:
        reports = round(number * constraints.reports(survey) / constraints.devices)
        if reports:
            share = detectable_share(channel, reports, confidence=one_sided(constraints.confidence))
            if share is not None:
                points.append((number, share))
    return points


def _lifetime_epsilons(definition: Definition, constraints: Constraints, tuning: Tuning) -> LineChart:
    """Draw the lifetime epsilon of the compared kinds of memory, with the ceiling."""
    survey = definition.survey
    epochs = range(1, min(constraints.epochs or survey.epochs, survey.epochs) + 1)
    lines = []
    for compared in tuning.compared:
        spent = [0.0, *(lifetime_epsilon(compared, epoch) for epoch in epochs)]
        steps = [(epoch, spent[epoch + after]) for epoch in epochs for after in (-1, 0)]
        lines.append(Line(_memory_name(compared, assumed=not survey.permanent), steps[1:]))
    at = "".join(f" (epsilon {epsilon:g} per report)" for epsilon in {one.privacy.epsilon for one in tuning.compared})
    levels = [y for line in lines for _, y in line.points] + [constraints.ceiling]
    return LineChart(
        f"Lifetime epsilon of a device{at}",
        Axis.over(f"{survey.epoch}s since the start of the survey", list(epochs), whole=True),
        Axis.over("largest epsilon of all its reports", levels),
        merge_equal(lines)[:MAX_LINES],
        (constraints.ceiling, f"ceiling: {constraints.ceiling:g}"),
    )


def _memory_name(survey: Survey, *, assumed: bool) -> str:
    """Describe the kind of memory and how often a device answers, like "fresh, one week in 4"."""
    privacy, epoch = survey.privacy, survey.epoch.value
    often = f"every {epoch}" if privacy.answers_every == 1 else f"one {epoch} in {privacy.answers_every}"
    if not survey.permanent:
        return f"{privacy.memory}, {often}"
    values = f"epsilon_permanent {privacy.epsilon_permanent:g}, {counted(privacy.changes or 0, 'change')}"
    return f"{privacy.memory}, {often} ({'assumed: ' if assumed else ''}{values})"
