"""The rows of `hushtally estimate SURVEY --smooth POINTS`: shares smoothed over epochs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from hushtally.aggregator.errors import ArgumentError
from hushtally.aggregator.publishing import published, require_enough
from hushtally.aggregator.row import Row
from hushtally.aggregator.selection import Selection, Series
from hushtally.aggregator.statistics.smoothing import Smoothed, smooth
from hushtally.aggregator.verbs.segment_rows import segment_rows


def smooth_rows(selection: Selection, most: float) -> list[Row]:
    """One row for every question, epoch, group and segment. All epochs with reports help, also unselected ones.

    most: the largest change of a share from one epoch to the next. Raises ArgumentError for the population of
    respondents: other respondents say nothing about them.
    """
    if selection.population != "customers":
        raise ArgumentError("smooth", "needs --population customers: other epochs have other respondents")
    rows: list[Row] = []
    for question in selection.selected_questions:
        everything = selection.groups(question, selection.known_epochs)
        found = {group: smooth(question, selection.survey, tallies, most) for group, tallies in everything.items()}
        for epoch in selection.selected_epochs:
            for group, tallies in everything.items():
                if epoch not in tallies:
                    continue
                series = selection.one_series(question, group, {epoch: tallies[epoch]})
                function = partial(_rows, found=found[group][epoch], min_reports=selection.survey.min_reports)
                rows += published(series, selection.survey.min_reports, question.segments, "share", function)
    return rows


def _rows(series: Series, found: Smoothed, min_reports: int) -> Iterator[Row]:
    require_enough(series.tally, min_reports)
    smoothed = replace(series, template=replace(series.template, quality="smoothed"))
    for row, refuted in zip(segment_rows(smoothed, found), found.refuted, strict=True):
        yield replace(row, quality="refuted") if refuted else row
