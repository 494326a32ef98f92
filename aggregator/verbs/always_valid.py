"""The rows of `hushtally estimate SURVEY --always-valid`: intervals that hold however often the analyst looks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from hushtally.aggregator.errors import ArgumentError
from hushtally.aggregator.publishing import published
from hushtally.aggregator.row import Row
from hushtally.aggregator.selection import Selection, Series
from hushtally.aggregator.statistics.sequence import confidence_sequence
from hushtally.aggregator.verbs.segment_rows import segment_rows


def always_valid_rows(selection: Selection) -> list[Row]:
    """Return one row for every question, epoch, group and segment.

    Raises ArgumentError for the population of respondents, because it changes with every look.
    """
    if selection.population != "customers":
        raise ArgumentError("always-valid", "needs --population customers: the respondents differ at every look")
    return [
        row
        for series in selection.cells()
        for row in published(series, selection.survey.min_reports, series.question.segments, "share", _rows)
    ]


def _rows(series: Series) -> Iterator[Row]:
    marked = replace(series, template=replace(series.template, quality="always-valid"))
    yield from segment_rows(marked, confidence_sequence(series.question, series.tally))
