"""Tables of a simulation, and its coverage in words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from hushtally.aggregator.share_format import percent, span
from hushtally.client_sdk.explain.wording import counted
from hushtally.simulations.accuracy import CONFIDENCE
from hushtally.simulations.cli.number_format import plus_minus
from hushtally.simulations.cli.text_table import TextTable
from hushtally.simulations.simulate.simulation import Outcome

LEGEND = {
    "truth": "true share of the devices in the segment",
    "estimate, mean": "estimate from the randomized reports; with several repetitions their mean",
    "interval": f"{CONFIDENCE:.0%} interval; with several repetitions the mean half-width, in percentage points",
    "error": "root mean square error, in percentage points",
    "covers, coverage": "whether the interval contains the true value; with several repetitions how often",
    "detected": f"how often the share is distinguishable from zero (one-sided {CONFIDENCE:.0%} interval above zero)",
}
NEGATIVE_ESTIMATES = (
    "Noise makes some estimates of small shares negative. Estimates and intervals are not cut at 0%, as in `hushtally"
    " estimate`, so that every interval can be compared with the true value."
)
SINGLE_COLUMNS = ("estimate", "interval", "covers")
REPEATED_COLUMNS = ("mean", "error", "interval", "coverage", "detected")


def outcome_tables(outcomes: Sequence[Outcome], max_segments: int | None = None) -> list[TextTable]:
    """Return one table for each question and epoch, with the true shares and the estimates.

    max_segments: show only this many of the largest segments; None shows all.
    """
    return [
        _table(question, epoch, list(group), max_segments)
        for (question, epoch), group in groupby(outcomes, key=lambda one: (one.question, one.epoch))
    ]


def _table(question: str, epoch: str, rows: list[Outcome], max_segments: int | None) -> TextTable:
    repeated = rows[0].repetitions > 1
    subtitle = f"{epoch}  {counted(round(rows[0].reports), 'report')}" + " on average" * repeated
    if not rows[0].published:
        return TextTable(question, subtitle, (), (), footnote="too few to be published")
    is_cut = max_segments is not None and len(rows) > max_segments
    shown = sorted(rows, key=lambda one: one.truth, reverse=True)[:max_segments] if is_cut else rows
    hidden = len(rows) - len(shown)
    footnote = f"largest {len(shown)} segments; use --format csv or json for the other {hidden:,}" if hidden else ""
    columns = ("segment", "truth", *(REPEATED_COLUMNS if repeated else SINGLE_COLUMNS))
    return TextTable(question, subtitle, columns, [_cells(row) for row in shown], ("segment",), footnote=footnote)


def _cells(row: Outcome) -> list[str]:
    assert row.error is not None
    assert row.half_width is not None
    cells = [row.segment, percent(row.truth), percent(row.estimate)]
    if row.repetitions > 1:
        error, interval = plus_minus(row.error).removeprefix("±"), plus_minus(row.half_width)
        return [*cells, error, interval, percent(row.coverage), percent(row.detected)]
    return [*cells, span(row.low, row.high), "yes" if row.coverage else "no"]


def coverage_summary(outcomes: Sequence[Outcome], confidence: float) -> str:
    """Describe the coverage, the expected coverage, and why estimates can be negative."""
    covering = sum((row.coverage or 0) * row.published for row in outcomes)
    total = sum(row.published for row in outcomes)
    if not total:
        return "No question has enough reports to be published. Simulate more devices, or lower min_reports."
    sentences = [
        f"{covering:,.0f} of {total:,} intervals contain the true value: {covering / total:.1%}.",
        f"The expected coverage is {confidence:.0%} on average over many runs.",
    ]
    if outcomes[0].repetitions == 1:
        sentences.append("To measure this average, use --repetitions 200.")
    if any(((row.low or 0) if row.repetitions == 1 else (row.estimate or 0)) < 0 for row in outcomes):
        sentences.append(NEGATIVE_ESTIMATES)
    return " ".join(sentences)
