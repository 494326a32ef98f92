"""The rows of a statistic that has one figure for every segment of a question."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

from hushtally.aggregator.intervals import Floats, Interval, comparisons, simultaneous
from hushtally.aggregator.row import Row
from hushtally.aggregator.selection import Series


class SegmentStatistic(Protocol):
    """A result with arrays in the order of the segments."""

    @property
    def estimate(self) -> Floats:
        """One figure for every segment."""

    @property
    def standard_error(self) -> Floats:
        """The standard error of every figure."""

    def confidence_interval(self, level: float) -> Interval:
        """Return the interval of every figure."""


def segment_rows(series: Series, found: SegmentStatistic, p_value: Floats | None = None) -> Iterator[Row]:
    """Return one row of a series for every segment. p_value: of every segment, or None."""
    template, segments = series.template, series.question.segments
    estimate, standard_error = found.estimate, found.standard_error
    single = found.confidence_interval(template.confidence)
    together = found.confidence_interval(simultaneous(template.confidence, comparisons(series.question.mechanism)))
    for index, segment in enumerate(segments):
        yield replace(
            template,
            segment=segment,
            estimate=float(estimate[index]),
            standard_error=float(standard_error[index]),
            low=float(single.low[index]),
            high=float(single.high[index]),
            simultaneous_low=float(together.low[index]),
            simultaneous_high=float(together.high[index]),
            detected=bool(single.low[index] > 0 or single.high[index] < 0),
            published=True,
            p_value=None if p_value is None else float(p_value[index]),
        )
