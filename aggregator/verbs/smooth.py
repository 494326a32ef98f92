"""The rows of `hushtally estimate SURVEY --smooth` and `--smooth-gap`: shares smoothed over epochs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial

from hushtally.aggregator.errors import ArgumentError, NotEstimableError
from hushtally.aggregator.publishing import published
from hushtally.aggregator.row import Row
from hushtally.aggregator.selection import Group, Selection, Series
from hushtally.aggregator.statistics.smoothing import Smoothed, smooth, smooth_gaps
from hushtally.aggregator.tally import Tally
from hushtally.aggregator.verbs.segment_rows import segment_rows
from hushtally.client_sdk.survey.questions import Question


def smooth_rows(selection: Selection, most: float) -> list[Row]:
    """Return one row for every question, epoch, group and segment. Unselected epochs with reports are used, too.

    most: the largest change of a share from one epoch to the next. Raises ArgumentError for the population of
    respondents, because other epochs have other respondents.
    """
    _require_customers(selection, "smooth")
    rows: list[Row] = []
    for question in selection.selected_questions:
        groups = selection.groups(question, selection.known_epochs)
        found = {group: smooth(question, selection.survey, tallies, most) for group, tallies in groups.items()}
        rows += _of_question(selection, question, groups, found)
    return rows


def smooth_gap_rows(selection: Selection, most: float) -> list[Row]:
    """Return the rows of `smooth_rows`, but smooth only the gap of a group to all customers.

    most: the largest change of a gap from one epoch to the next. Raises ArgumentError without `by`, and for the
    population of respondents.
    """
    _require_customers(selection, "smooth-gap")
    if not selection.cohort_names:
        raise ArgumentError("smooth-gap", "needs --by: the gap is that of a group to all customers")
    rows: list[Row] = []
    for question in selection.selected_questions:
        groups = selection.groups(question, selection.known_epochs)
        smoothed: list[dict[str, Smoothed]] = [{} for _ in groups]
        if len(groups) > 1 and set.intersection(*map(set, groups.values())):
            smoothed = smooth_gaps(question, selection.survey, list(groups.values()), most)
        rows += _of_question(selection, question, groups, dict(zip(groups, smoothed, strict=True)))
    return rows


def _require_customers(selection: Selection, option: str) -> None:
    if selection.population != "customers":
        raise ArgumentError(option, "needs --population customers: other epochs have other respondents")


def _of_question(
    selection: Selection,
    question: Question,
    groups: Mapping[Group, Mapping[str, Tally]],
    found: Mapping[Group, Mapping[str, Smoothed]],
) -> Iterator[Row]:
    """Return the rows of one question, by epoch and group."""
    for epoch in selection.selected_epochs:
        for group, tallies in groups.items():
            if epoch in tallies:
                series = selection.one_series(question, group, {epoch: tallies[epoch]})
                function = partial(_rows, found=found[group].get(epoch))
                yield from published(series, selection.survey.min_reports, question.segments, "share", function)


def _rows(series: Series, found: Smoothed | None) -> Iterator[Row]:
    if found is None:
        raise NotEstimableError("a gap needs reports of two groups, and of every group in the epoch")
    smoothed = replace(series, template=replace(series.template, quality="smoothed"))
    for row, refuted in zip(segment_rows(smoothed, found), found.refuted, strict=True):
        yield replace(row, quality="refuted") if refuted else row
