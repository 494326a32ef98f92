"""`hushtally estimate SURVEY quantile`: quantiles of a number, such as the median."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import click

from hushtally.aggregator.publishing import published
from hushtally.aggregator.row import Row
from hushtally.aggregator.selection import Selection, Series
from hushtally.aggregator.statistic_command import statistic
from hushtally.aggregator.statistics.number import Ranges, quantile
from hushtally.aggregator.verbs.mean import cap_option, number_name, number_questions, number_ranges, otherwise_option


def quantile_rows(selection: Selection, at: Sequence[float], cap: float, otherwise: float | None = None) -> list[Row]:
    """Return one row for every number question, epoch, group and quantile.

    at: between 0 and 1; 0.5 is the median. cap, otherwise: see `Ranges.of`. Raises ArgumentError like `mean_rows`.
    """
    numbers = number_questions(selection, cap, otherwise)
    return [
        replace(row, outcome=number_name(series.question))
        for series in selection.cells()
        if series.question in numbers
        for row in published(
            series,
            selection.survey.min_reports,
            [f"{each:.4g}" for each in at],
            "quantile",
            partial(_rows, at=at, ranges=number_ranges(series.question, cap, otherwise)),
        )
    ]


def _rows(series: Series, at: Sequence[float], ranges: Ranges) -> Iterator[Row]:
    for each in at:
        found = quantile(series.question, series.tally, ranges, each, series.template.population)
        low, high = found.confidence_interval(series.template.confidence)
        yield replace(series.template, segment=f"{each:.4g}", low=float(low), high=float(high), published=True)


@statistic("quantile")
@click.option(
    "--at",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    multiple=True,
    default=(0.5,),
    show_default="0.5, the median",
    metavar="FRACTION",
    help="Which quantile; 0.9 is exceeded by a tenth of the customers. Repeatable.",
)
@cap_option
@otherwise_option
def command(selection: Selection, at: tuple[float, ...], cap: float, otherwise: float | None) -> list[Row]:
    """Estimate quantiles of a number, such as the median, from an edge to an edge.

    Nothing is assumed about where the numbers lie within the ranges that the survey asks.
    """
    return quantile_rows(selection, at, cap, otherwise)
