"""What a tuning and a simulation found, as pictures."""

from __future__ import annotations

import numpy as np

from hushtally.aggregator.intervals import one_sided
from hushtally.client_sdk.explain.wording import counted
from hushtally.simulations.accuracy import POWER, detectable_share
from hushtally.simulations.charts.lines import MOST_LINES, Axis, Chart, Line, distinct
from hushtally.simulations.cli.number_format import points
from hushtally.simulations.cli.picture import Picture
from hushtally.simulations.definition import Definition
from hushtally.simulations.tune.forecast import Demand, lifetime_epsilon
from hushtally.simulations.tune.tuning import Tuning


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
