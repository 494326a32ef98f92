"""`hushtally estimate SURVEY rate`: the rate of an outcome inside each segment of a crossed question."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

import click

from hushtally.aggregator.errors import ArgumentError
from hushtally.aggregator.intervals import simultaneous
from hushtally.aggregator.publishing import published
from hushtally.aggregator.row import Row
from hushtally.aggregator.selection import Selection, Series
from hushtally.aggregator.statistic_command import statistic
from hushtally.aggregator.statistics.rate import ESTIMABLE, RateComparison, Rates, rates
from hushtally.client_sdk.error_text import did_you_mean
from hushtally.client_sdk.survey.questions import Cross, Question


@dataclass(frozen=True)
class Inside:
    """An outcome inside the segments of another question of a cross.

    outcome: for display. segments: the segments of the other question. yes, no: for each of them, the indexes of the
    cross's segments with and without the outcome.
    """

    outcome: str
    segments: tuple[str, ...]
    yes: list[list[int]]
    no: list[list[int]]


def inside(question: Question, outcome: str, outcomes: Sequence[str], within: str) -> Inside:
    """Return the outcome given by segments of the question `outcome`, inside the segments of `within`."""
    assert isinstance(question.form, Cross)
    names = question.form.questions
    parts = [form.segments for form in question.form.forms]
    which, where = names.index(outcome), names.index(within)
    yes: list[list[int]] = [[] for _ in parts[where]]
    no: list[list[int]] = [[] for _ in parts[where]]
    for index, cell in enumerate(product(*(range(len(part)) for part in parts))):
        (yes if parts[which][cell[which]] in outcomes else no)[cell[where]].append(index)
    return Inside(" or ".join(f"{outcome}={segment}" for segment in outcomes), parts[where], yes, no)


def rate_rows(
    selection: Selection,
    outcome: str,
    outcomes: Sequence[str],
    within: str | None = None,
    versus: str | None = None,
    ratio: bool = False,
) -> list[Row]:
    """Return one row for every segment inside which the rate of the outcome is estimated.

    outcome: a crossed question; outcomes: its segments. within: another crossed question; None means all of them.
    versus: the segment with which all others are compared, by the difference or the ratio of the rates. Raises
    ArgumentError for an outcome that no selected cross has, and for an unknown question or segment.
    """
    rows: list[Row] = []
    for series in selection.cells():
        form = series.question.form
        if not isinstance(form, Cross) or outcome not in form.questions:
            continue
        for other in form.questions:
            if other != outcome and within in (None, other):
                asked = inside(series.question, outcome, outcomes, other)
                if versus is None:
                    function, kind, segments = partial(_rates, asked=asked), "rate", asked.segments
                elif versus in asked.segments:
                    kind = "ratio" if ratio else "difference"
                    function = partial(_comparisons, asked=asked, versus=versus)
                    segments = tuple(segment for segment in asked.segments if segment != versus)
                else:
                    continue
                rows += (
                    replace(row, outcome=asked.outcome, versus=versus)
                    for row in published(series, selection.survey.min_reports, segments, kind, function)
                )
    return rows


def _rates(series: Series, asked: Inside) -> Iterator[Row]:
    template = series.template
    found = rates(series.question, series.tally, asked.yes, asked.no, template.population)
    single = found.confidence_interval(template.confidence)
    together = found.confidence_interval(simultaneous(template.confidence, len(asked.segments)))
    for index, segment in enumerate(asked.segments):
        row = replace(template, segment=segment)
        if not found.estimable[index]:
            yield replace(row, reason=_too_few(found, index))
            continue
        yield replace(
            row,
            estimate=float(found.estimate[index]),
            standard_error=float(found.standard_error[index]),
            low=float(single.low[index]),
            high=float(single.high[index]),
            simultaneous_low=float(together.low[index]),
            simultaneous_high=float(together.high[index]),
            detected=bool(single.low[index] > 0),
            published=True,
            quality="weak" if found.weak[index] else "good",
        )


def _comparisons(series: Series, asked: Inside, versus: str) -> Iterator[Row]:
    template = series.template
    found = rates(series.question, series.tally, asked.yes, asked.no, template.population)
    base = asked.segments.index(versus)
    ratio = template.kind == "ratio"
    for index, segment in enumerate(asked.segments):
        if index == base:
            continue
        row = replace(template, segment=segment)
        both = RateComparison(found, index, found, base)
        if not both.estimable:
            yield replace(row, reason=_too_few(found, index if not found.estimable[index] else base))
            continue
        low, high = (both.ratio_interval if ratio else both.difference_interval)(template.confidence)
        if not math.isfinite(high):
            yield replace(row, reason=f"the rate in {versus!r} cannot be distinguished from zero")
            continue
        yield replace(
            row,
            estimate=both.ratio if ratio else both.difference,
            standard_error=None if ratio else both.difference_error,
            low=float(low),
            high=float(high),
            detected=bool(low > ratio or high < ratio),
            published=True,
            quality="weak" if both.weak else "good",
        )


def _too_few(found: Rates, index: int) -> str:
    size = f"its share is {found.signal_to_noise[index]:.1f} standard errors"
    return f"too few customers to estimate a rate: {size}, and {ESTIMABLE:g} are needed"


def crossed_outcome(selection: Selection, texts: Sequence[str]) -> tuple[str, list[str]]:
    """Parse outcomes that are written QUESTION=SEGMENT into their question and segments.

    Raises ArgumentError if they do not name segments of one question that a selected cross contains.
    """
    crosses = [question for question in selection.selected_questions if isinstance(question.form, Cross)]
    forms = {
        name: form
        for cross in crosses
        if isinstance(cross.form, Cross)
        for name, form in zip(cross.form.questions, cross.form.forms, strict=True)
    }
    names = {text.partition("=")[0] for text in texts}
    if len(names) != 1:
        raise ArgumentError("outcome", f"must be segments of one question, got {', '.join(sorted(names))}")
    [name] = names
    if name not in forms:
        known = did_you_mean(name, forms) or "; the survey has no crossed question"
        raise ArgumentError(
            "outcome", f"must be a crossed question and its segment, like returned=yes, got {name!r}{known}"
        )
    segments = [text.partition("=")[2] for text in texts]
    for segment in segments:
        if segment not in forms[name].segments:
            known = did_you_mean(segment, forms[name].segments)
            raise ArgumentError("outcome", f"must be a segment of {name}, got {segment!r}{known}")
    return name, segments


@statistic("rate")
@click.option(
    "--outcome",
    "outcomes",
    multiple=True,
    required=True,
    metavar="QUESTION=SEGMENT",
    help="What is counted, for example returned=yes. Repeat it for an outcome of several segments.",
)
@click.option("--within", metavar="QUESTION", help="Inside the segments of this crossed question.  [default: all]")
@click.option("--versus", metavar="SEGMENT", help="The difference of each segment's rate and that of this segment.")
@click.option("--ratio", is_flag=True, help="With --versus: the ratio of the rates instead of their difference.")
def command(
    selection: Selection, outcomes: tuple[str, ...], within: str | None, versus: str | None, ratio: bool
) -> list[Row]:
    """Estimate the rate of an outcome inside each segment, such as the share of regular customers who returned.

    The survey must ask both together, in a question with `cross`. If a segment has too few customers, the rate cannot
    be estimated, and the reason is printed. A rate inside a segment of few customers is marked as weak.
    """
    if ratio and versus is None:
        raise ArgumentError("ratio", "needs --versus")
    name, segments = crossed_outcome(selection, outcomes)
    rows = rate_rows(selection, name, segments, within, versus, ratio)
    if not rows and selection.tallies:
        if within is not None:
            raise ArgumentError("within", f"must be a question that is crossed with {name}, got {within!r}")
        raise ArgumentError("versus", f"must be a segment of a question that is crossed with {name}, got {versus!r}")
    return rows
