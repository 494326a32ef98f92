"""The summary of a survey: one row for every question, epoch, group of customers and segment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date

from hushtally.aggregator.estimate import estimate
from hushtally.aggregator.intervals import Population
from hushtally.aggregator.publishing import published
from hushtally.aggregator.row import Row
from hushtally.aggregator.selection import Selection, Series
from hushtally.aggregator.tally import Tally
from hushtally.client_sdk.protocol.cell import Cell
from hushtally.client_sdk.survey import Survey


def summarize(
    survey: Survey,
    tallies: Mapping[Cell, Tally],
    *,
    by: Iterable[str] = (),
    confidence: float = 0.95,
    population: Population = "customers",
    questions: Iterable[str] | None = None,
    epochs: Iterable[str] | None = None,
    today: date | None = None,
) -> list[Row]:
    """Return rows by question, epoch, cohort and segment, in the order of the survey. Cohorts are ordered by name.

    tallies: the tally of every cell of the survey, from `Database.tallies`. by: names of cohorts. Every combination of
    their values with reports is a group. Without names, all customers are one group. questions, epochs: what to show;
    None selects all questions, and all epochs with reports. today: the day in UTC on which the tallies were read, or a
    datetime with any time zone; None: the current day. Raises ArgumentError for an unknown cohort or question, and for
    an epoch without reports.
    """
    return summarize_selection(Selection(survey, tallies, by, confidence, population, questions, epochs, today))


def summarize_selection(selection: Selection) -> list[Row]:
    """Return the rows of a selection; see `summarize`."""
    return [
        row
        for series in selection.cells()
        for row in published(series, selection.survey.min_reports, series.question.segments, "share", _rows)
    ]


def _rows(series: Series) -> Iterator[Row]:
    """Return the rows of one group. They differ from the template in the segment and its figures."""
    template = series.template
    found = estimate(series.question, series.tally, template.confidence, template.population)
    for index, segment in enumerate(series.question.segments):
        yield replace(
            template,
            segment=segment,
            estimate=float(found.estimate[index]),
            standard_error=float(found.standard_error[index]),
            low=float(found.low[index]),
            high=float(found.high[index]),
            simultaneous_low=float(found.simultaneous_low[index]),
            simultaneous_high=float(found.simultaneous_high[index]),
            consistent=float(found.consistent[index]),
            detected=bool(found.detected[index]),
            published=True,
        )
