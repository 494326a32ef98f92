"""`hushtally estimate SURVEY membership`: what a single report reveals about the customer who sent it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from hushtally.aggregator.publishing import published
from hushtally.aggregator.row import Row
from hushtally.aggregator.selection import Selection, Series
from hushtally.aggregator.statistic_command import statistic
from hushtally.aggregator.statistics.membership import membership


def membership_rows(selection: Selection) -> list[Row]:
    """Return one row for every question, epoch, group and segment."""
    return [
        row
        for series in selection.cells()
        for row in published(series, selection.survey.min_reports, series.question.segments, "membership", _rows)
    ]


def _rows(series: Series) -> Iterator[Row]:
    found = membership(series.question, series.tally, series.template.population)
    low, high = found.confidence_interval(series.template.confidence)
    estimate = found.estimate
    for index, segment in enumerate(series.question.segments):
        yield replace(
            series.template,
            segment=segment,
            estimate=float(estimate[index]),
            low=float(low[index]),
            high=float(high[index]),
            published=True,
        )


@statistic("membership")
def command(selection: Selection) -> list[Row]:
    """Bound what a single report reveals about its customer. A report does not label a person.

    Before the report, the best belief is the share of the segment. After the report, the belief is within the interval,
    whatever the report is. The interval includes the uncertainty of the share.
    """
    return membership_rows(selection)
