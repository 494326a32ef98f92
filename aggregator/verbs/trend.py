"""`hushtally estimate SURVEY trend`: the slope of the shares over epochs, and whether they changed at all."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from hushtally.aggregator.errors import NotEstimableError
from hushtally.aggregator.publishing import published
from hushtally.aggregator.row import Row
from hushtally.aggregator.selection import Selection, Series
from hushtally.aggregator.statistic_command import statistic
from hushtally.aggregator.statistics.trend import trend
from hushtally.aggregator.verbs.segment_rows import segment_rows
from hushtally.client_sdk.survey import Survey


def trend_rows(selection: Selection) -> list[Row]:
    """Return one row for every question, group and segment, over all selected epochs."""
    rows = partial(_rows, survey=selection.survey)
    return [
        row
        for series in selection.series()
        for row in published(series, selection.survey.min_reports, series.question.segments, "trend", rows)
    ]


def _rows(series: Series, survey: Survey) -> Iterator[Row]:
    if len(series.tallies) < 2:
        raise NotEstimableError("a trend needs at least two epochs with reports")
    found = trend(series.question, survey, series.tallies, series.template.population)
    yield from segment_rows(series, found, found.p_value)


@statistic("trend")
def command(selection: Selection) -> list[Row]:
    """Estimate the slope of the shares over epochs, in percentage points an epoch.

    The slope is that of the best line through the true shares. p is small if the share changed in any way. Choose the
    epochs with --epoch, for example a range.
    """
    return trend_rows(selection)
