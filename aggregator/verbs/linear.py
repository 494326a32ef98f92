"""`hushtally estimate SURVEY linear`: any weighted sum of the shares of a question."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial

import click

from hushtally.aggregator.errors import ArgumentError
from hushtally.aggregator.publishing import published
from hushtally.aggregator.row import Row
from hushtally.aggregator.selection import Selection, Series
from hushtally.aggregator.statistic_command import statistic
from hushtally.aggregator.statistics.linear import linear
from hushtally.client_sdk.error_text import did_you_mean


def linear_rows(selection: Selection, weights: Mapping[str, float]) -> list[Row]:
    """Return one row for every epoch and group of the only selected question.

    weights: the weights of segments; all other segments have the weight 0. Raises ArgumentError for a segment that the
    question does not have, and if more than one question is selected.
    """
    questions = selection.selected_questions
    if len(questions) != 1:
        raise ArgumentError("question", f"must name one question, got {len(questions)}")
    for segment in weights:
        if segment not in questions[0].segments:
            known = did_you_mean(segment, questions[0].segments)
            raise ArgumentError("weight", f"must name a segment of {questions[0].id}, got {segment!r}{known}")
    name = " ".join(_term(segment, weight) for segment, weight in weights.items()).removeprefix("+ ")
    rows = partial(_rows, weights=weights, name=name)
    return [
        row
        for series in selection.cells()
        for row in published(series, selection.survey.min_reports, [name], "linear", rows)
    ]


def _rows(series: Series, weights: Mapping[str, float], name: str) -> Iterator[Row]:
    found = linear(series.question, series.tally, weights, series.template.population)
    low, high = found.confidence_interval(series.template.confidence)
    yield replace(
        series.template,
        segment=name,
        estimate=float(found.estimate),
        standard_error=float(found.standard_error),
        low=float(low),
        high=float(high),
        detected=bool(low > 0 or high < 0),
        published=True,
    )


def _term(segment: str, weight: float) -> str:
    factor = "" if abs(weight) == 1 else f"{abs(weight):g} "
    return f"{'-' if weight < 0 else '+'} {factor}{segment}"


def _weight(text: str) -> tuple[str, float]:
    """Parse a segment and its weight from SEGMENT=NUMBER. A segment may contain "="."""
    segment, equals, number = text.rpartition("=")
    try:
        weight = float(number)
    except ValueError:
        weight = math.nan
    if not (equals and math.isfinite(weight)):
        raise ArgumentError("weight", f"must be a segment and a number, like heavy=1, got {text!r}")
    return segment, weight


@statistic("linear")
@click.option(
    "--weight",
    "weights",
    multiple=True,
    required=True,
    metavar="SEGMENT=NUMBER",
    help="The weight of a segment; segments without a weight do not count. Repeatable.",
)
def command(selection: Selection, weights: tuple[str, ...]) -> list[Row]:
    """Estimate a weighted sum of shares, such as how much larger one segment is than another.

    The interval takes into account that the errors of shares in one table depend on each other.
    """
    return linear_rows(selection, dict(map(_weight, weights)))
