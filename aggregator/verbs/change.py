"""`hushtally estimate SURVEY change`: how the shares differ between two epochs, or between two ranges of epochs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import click

from hushtally.aggregator.errors import ArgumentError
from hushtally.aggregator.publishing import published, require_enough
from hushtally.aggregator.row import Row
from hushtally.aggregator.selection import Selection, Series
from hushtally.aggregator.statistic_command import statistic
from hushtally.aggregator.statistics.change import change
from hushtally.aggregator.tally import Tally
from hushtally.aggregator.verbs.segment_rows import segment_rows


def change_rows(selection: Selection, earlier: str, later: str, overlap: int = 0) -> list[Row]:
    """Return one row for every question, group and segment that has reports in both ranges.

    earlier, later: an epoch, or a range like 2026-W45:2026-W48. overlap: see `change`. Raises ArgumentError for a range
    without reports, for ranges that share an epoch, and for an overlap that `change` refuses.
    """
    ranges = [selection.epochs_of(earlier, "from"), selection.epochs_of(later, "to")]
    if shared := set(ranges[0]) & set(ranges[1]):
        raise ArgumentError("to", f"must not share an epoch with --from, but {min(shared)} is in both")
    if overlap and not (selection.survey.permanent and len(ranges[0]) == len(ranges[1]) == 1):
        raise ArgumentError("overlap", "needs memory = 'permanent' and two single epochs")
    rows: list[Row] = []
    for question in selection.selected_questions:
        for group, tallies in selection.groups(question, [*ranges[0], *ranges[1]]).items():
            parts = [{epoch: tallies[epoch] for epoch in part if epoch in tallies} for part in ranges]
            if not all(parts):
                continue
            series = selection.one_series(question, group, tallies)
            series = replace(series, template=replace(series.template, epoch=later, versus=earlier))
            function = partial(_rows, selection=selection, ranges=ranges, overlap=overlap)
            rows += published(series, selection.survey.min_reports, question.segments, "difference", function)
    return rows


def _rows(series: Series, selection: Selection, ranges: Sequence[Sequence[str]], overlap: int) -> Iterator[Row]:
    earlier, later = ({epoch: series.tallies[epoch] for epoch in part if epoch in series.tallies} for part in ranges)
    for part in (earlier, later):
        require_enough(Tally.merge(part.values()), selection.survey.min_reports)
    found = change(series.question, selection.survey, earlier, later, series.template.population, overlap)
    yield from segment_rows(series, found)


@statistic("change")
@click.option("--from", "earlier", required=True, metavar="EPOCH", help="The earlier epoch or range.")
@click.option("--to", "later", required=True, metavar="EPOCH", help="The later epoch or range.")
@click.option(
    "--overlap",
    type=click.IntRange(min=0),
    default=0,
    metavar="DEVICES",
    help="With permanent memory: how many devices answered in both epochs with the same answer.  [default: unknown]",
)
def command(selection: Selection, earlier: str, later: str, overlap: int) -> list[Row]:
    """Estimate how the shares changed from one epoch to another, or from one range of epochs to another.

    A range is written like 2026-W45:2026-W48. Its shares are the mean of its epochs, weighted by reports.

    The interval is narrowest if no device answers in both: choose epochs whose distance is no multiple of
    answers_every. If devices answer in both, the interval is valid, but wider than necessary.
    """
    return change_rows(selection, earlier, later, overlap)
