"""`hushtally estimate SURVEY rank`: which segments of a table differ, and which are the largest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import click

from hushtally.aggregator.errors import ArgumentError
from hushtally.aggregator.intervals import normal_interval
from hushtally.aggregator.publishing import published
from hushtally.aggregator.row import Row
from hushtally.aggregator.selection import Selection, Series
from hushtally.aggregator.statistic_command import statistic
from hushtally.aggregator.statistics.ranking import Ranking, ranking


def rank_rows(selection: Selection, k: int = 1) -> list[Row]:
    """Return one row for every segment, with its rank and whether it is among the k largest.

    Raises ArgumentError if k is larger than the number of segments of a selected question.
    """
    for question in selection.selected_questions:
        count = len(question.segments)
        if not 1 <= k <= count:
            raise ArgumentError("top", f"must be at most {count}, the number of segments of {question.id}, got {k}")
    return [
        row
        for series in selection.cells()
        for row in published(
            series, selection.survey.min_reports, series.question.segments, "rank", partial(_ranks, k=k)
        )
    ]


def pair_rows(selection: Selection) -> list[Row]:
    """Return one row for every two segments of a table: the difference, with intervals that hold for all at once."""
    return [
        row
        for series in selection.cells()
        for row in published(series, selection.survey.min_reports, series.question.segments, "difference", _pairs)
    ]


def _ranks(series: Series, k: int) -> Iterator[Row]:
    template = series.template
    found = ranking(series.question, series.tally, template.population)
    low, high = found.confidence_interval(template.confidence)
    estimate, top = found.estimate, _top(found, k, template.confidence)
    for index, segment in enumerate(series.question.segments):
        yield replace(
            template,
            segment=segment,
            estimate=float(estimate[index]),
            low=float(low[index]),
            high=float(high[index]),
            published=True,
            outcome=f"top {k}" if k > 1 else "the largest",
            top=top[index],
        )


def _top(found: Ranking, k: int, confidence: float) -> list[str]:
    surely, possibly = found.top(k, confidence)
    if k == 1:  # the set that contains the largest segment is smaller than the top 1 from all pairs
        possibly = found.may_be_largest(confidence)
        surely = possibly & (possibly.sum() == 1)
    return ["yes" if sure else "maybe" if may else "no" for sure, may in zip(surely, possibly, strict=True)]


def _pairs(series: Series) -> Iterator[Row]:
    template, segments = series.template, series.question.segments
    found = ranking(series.question, series.tally, template.population)
    differences = found.differences
    single = normal_interval(differences, found.errors, template.confidence)
    together = found.difference_interval(template.confidence)
    for second, versus in enumerate(segments):
        for first, segment in enumerate(segments):
            if first != second:
                yield replace(
                    template,
                    segment=segment,
                    versus=versus,
                    estimate=float(differences[first, second]),
                    standard_error=float(found.errors[first, second]),
                    low=float(single.low[first, second]),
                    high=float(single.high[first, second]),
                    simultaneous_low=float(together.low[first, second]),
                    simultaneous_high=float(together.high[first, second]),
                    detected=bool(together.low[first, second] > 0 or together.high[first, second] < 0),
                    published=True,
                )


@statistic("rank")
@click.option("--top", type=click.IntRange(min=1), default=1, show_default=True, metavar="K", help="The K largest.")
@click.option("--pairs", is_flag=True, help="The difference of every two segments of a table instead of ranks.")
def command(selection: Selection, top: int, pairs: bool) -> list[Row]:
    """Rank the segments of a table: which ranks each may have, and which may be the largest, or among the K largest.

    All statements about a table hold at once, so that you may pick any of them.
    """
    return pair_rows(selection) if pairs else rank_rows(selection, top)
