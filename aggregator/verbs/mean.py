"""`hushtally estimate SURVEY mean`: bounds of the mean of a number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import click

from hushtally.aggregator.errors import ArgumentError
from hushtally.aggregator.publishing import published
from hushtally.aggregator.row import Row
from hushtally.aggregator.selection import Selection, Series
from hushtally.aggregator.statistic_command import statistic
from hushtally.aggregator.statistics.number import Ranges, mean
from hushtally.client_sdk.survey.questions import Question, Scale


def mean_rows(selection: Selection, cap: float, otherwise: float | None = None) -> list[Row]:
    """Return one row for every number question, epoch and group.

    cap, otherwise: see `Ranges.of`. Raises ArgumentError for numbers that `Ranges.of` refuses, and if no selected
    question asks for a number.
    """
    numbers = number_questions(selection, cap, otherwise)
    return [
        row
        for series in selection.cells()
        if series.question in numbers
        for row in published(
            series,
            selection.survey.min_reports,
            [number_name(series.question)],
            "mean",
            partial(_rows, ranges=number_ranges(series.question, cap, otherwise)),
        )
    ]


def _rows(series: Series, ranges: Ranges) -> Iterator[Row]:
    found = mean(series.question, series.tally, ranges, series.template.population)
    low, high = found.confidence_interval(series.template.confidence)
    name = number_name(series.question)
    yield replace(series.template, segment=name, low=float(low), high=float(high), published=True)


def number_questions(selection: Selection, cap: float, otherwise: float | None) -> list[Question]:
    """Return the selected number questions. Raises ArgumentError if there is none, or for a wrong number."""
    numbers = [question for question in selection.selected_questions if isinstance(question.form, Scale)]
    if not numbers:
        raise ArgumentError("question", "must name a question with number and edges; the selected questions have none")
    for question in numbers:
        assert isinstance(question.form, Scale)
        first, last = question.form.edges[0], question.form.edges[-1]
        if not cap > last:
            raise ArgumentError("cap", f"must be above the last edge of {question.id}, {last:g}, got {cap:g}")
        if otherwise is not None and otherwise > first:
            requirement = f"must be at most the first edge of {question.id}, {first:g}"
            raise ArgumentError("otherwise", f"{requirement}, got {otherwise:g}")
    return numbers


def number_ranges(question: Question, cap: float, otherwise: float | None) -> Ranges:
    """Return the ranges of a number question."""
    assert isinstance(question.form, Scale)
    return Ranges.of(question.form, cap, otherwise)


def number_name(question: Question) -> str:
    """Return the rule that gives the number of a question."""
    assert isinstance(question.form, Scale)
    return question.form.rule.source


cap_option = click.option(
    "--cap",
    type=float,
    required=True,
    metavar="NUMBER",
    help="The end of the last range. Larger numbers count as this one.",
)
otherwise_option = click.option(
    "--otherwise",
    type=float,
    metavar="NUMBER",
    help="The number of customers in the segment for everyone else, such as 0.  [default: they are left out]",
)


@statistic("mean")
@cap_option
@otherwise_option
def command(selection: Selection, cap: float, otherwise: float | None) -> list[Row]:
    """Estimate bounds of the mean of a number for which the survey asks only the range.

    Within a range, a number may lie anywhere. Therefore there is no single estimate, and more reports do not shorten
    the interval below the width of the ranges.
    """
    return mean_rows(selection, cap, otherwise)
