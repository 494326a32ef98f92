"""`hushtally estimate SURVEY lift`: how much more often segments of two questions occur together than by chance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations, product

import numpy as np

from hushtally.aggregator.errors import ArgumentError
from hushtally.aggregator.intervals import simultaneous
from hushtally.aggregator.publishing import published
from hushtally.aggregator.row import Row
from hushtally.aggregator.selection import Selection, Series
from hushtally.aggregator.statistic_command import statistic
from hushtally.aggregator.statistics.lift import ESTIMABLE, Lifts, lifts
from hushtally.client_sdk.survey.questions import Cross, Question

SEPARATOR = " & "  # between the two segments of a cell


def lift_rows(selection: Selection) -> list[Row]:
    """Return one row for every two segments of every two crossed questions of the selected questions.

    Raises ArgumentError if no selected question is a cross.
    """
    if not any(isinstance(question.form, Cross) for question in selection.selected_questions):
        raise ArgumentError("question", "must name a question with cross; the selected questions have none")
    rows: list[Row] = []
    for series in selection.cells():
        form = series.question.form
        if isinstance(form, Cross):
            for pair in combinations(range(len(form.questions)), 2):
                names = [SEPARATOR.join(parts) for parts in product(*(form.forms[index].segments for index in pair))]
                of_pair = partial(_rows, cells=cells_of(series.question, *pair), names=names)
                outcome = " x ".join(form.questions[index] for index in pair)
                rows += (
                    replace(row, outcome=outcome)
                    for row in published(series, selection.survey.min_reports, names, "lift", of_pair)
                )
    return rows


def cells_of(question: Question, first: int, second: int) -> list[list[list[int]]]:
    """Return the indexes of the cross's segments for every two segments of two crossed questions.

    first, second: the numbers of the two questions in the cross.
    """
    assert isinstance(question.form, Cross)
    sizes = [len(form.segments) for form in question.form.forms]
    cells: list[list[list[int]]] = [[[] for _ in range(sizes[second])] for _ in range(sizes[first])]
    for index, cell in enumerate(product(*map(range, sizes))):
        cells[cell[first]][cell[second]].append(index)
    return cells


def _rows(series: Series, cells: Sequence[Sequence[Sequence[int]]], names: Sequence[str]) -> Iterator[Row]:
    template = series.template
    found = lifts(series.question, series.tally, cells, template.population)
    estimate, standard_error = found.estimate, found.standard_error
    single = found.confidence_interval(template.confidence)
    together = found.confidence_interval(simultaneous(template.confidence, found.joint.size))
    groups = found.clusters(template.confidence)
    for name, (i, j) in zip(names, np.ndindex(found.joint.shape), strict=True):
        row = replace(template, segment=name)
        if not found.estimable[i, j] or np.isnan(single.low[i, j]):
            yield replace(row, reason=_too_few(found, i, j))
            continue
        cluster = [number for number, (rows, columns) in enumerate(groups, 1) if i in rows and j in columns]
        yield replace(
            row,
            estimate=float(estimate[i, j]),
            standard_error=float(standard_error[i, j]),
            low=float(single.low[i, j]),
            high=float(single.high[i, j]),
            simultaneous_low=None if np.isnan(together.low[i, j]) else float(together.low[i, j]),
            simultaneous_high=None if np.isnan(together.high[i, j]) else float(together.high[i, j]),
            detected=bool(single.low[i, j] > 1 or single.high[i, j] < 1),
            published=True,
            cluster=cluster[0] if cluster else None,
        )


def _too_few(found: Lifts, i: int, j: int) -> str:
    if found.estimable[i, j]:
        return "too few reports to bound the lift"
    covariance = found.covariance[i, j]
    sizes = found.rows[i] / covariance[1, 1] ** 0.5, found.columns[j] / covariance[2, 2] ** 0.5
    size = f"the share of one segment is {min(sizes):.1f} standard errors"
    return f"too few customers to estimate a lift: {size}, and {ESTIMABLE:g} are needed"


@statistic("lift")
def command(selection: Selection) -> list[Row]:
    """Estimate the lift of every two segments of a question with `cross`: how often they occur together.

    A lift of 1 means as often as if the two were independent, and 2 means twice as often. Segments in the same cluster
    occur together more often than by chance, as far as the data distinguish this. All clusters of a table hold at once.
    """
    return lift_rows(selection)
