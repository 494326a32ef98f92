"""What a simulation found, as sheets to read."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from hushtally.aggregator.share_format import percent, span
from hushtally.client_sdk.explain.wording import counted
from hushtally.simulations.cli.number_format import half
from hushtally.simulations.cli.text_table import Sheet
from hushtally.simulations.simulate.simulation import Outcome

LEGEND = {
    "truth": "the share of devices that are in the segment",
    "estimate, mean": "from randomized reports; the mean of all repetitions",
    "interval": "95%; with several repetitions percentage points on each side, on average",
    "error": "percentage points, root of the mean square",
    "holds, coverage": "whether the interval holds the truth, and how often",
    "above 0": "how often the lower end of the one-sided 95% interval is",
}
UNCUT = (
    "Noise takes small shares below 0. Intervals are shown whole, as `hushtally estimate` shows them, so that it can be"
    " counted how often they hold the truth."
)


def outcome_sheets(outcomes: Sequence[Outcome], most: int | None = None) -> list[Sheet]:
    """One sheet for every question and epoch: truth and estimate, and how they differ over the repetitions.

    most: show the so many largest segments only.
    """
    sheets = []
    for (question, epoch), group in groupby(outcomes, key=lambda one: (one.question, one.epoch)):
        rows = list(group)
        about = f"{epoch}  {counted(round(rows[0].reports), 'report')}" + " on average" * (rows[0].repetitions > 1)
        if not rows[0].published:
            sheets.append(Sheet(question, about, (), (), remark="too few to be published"))
            continue
        large = most is not None and len(rows) > most
        shown = sorted(rows, key=lambda one: one.truth, reverse=True)[:most] if large else rows
        hidden = len(rows) - len(shown)
        remark = f"the largest {len(shown)}; {hidden:,} more with --format csv or --format json" if hidden else ""
        several = rows[0].repetitions > 1
        names = ("mean", "error", "interval", "coverage", "above 0") if several else ("estimate", "interval", "holds")
        cells = [_of_outcome(row) for row in shown]
        sheets.append(Sheet(question, about, ("segment", "truth", *names), cells, ("segment",), remark=remark))
    return sheets


def _of_outcome(row: Outcome) -> list[str]:
    assert row.error is not None
    assert row.half_width is not None
    cells = [row.segment, percent(row.truth), percent(row.estimate)]
    if row.repetitions > 1:
        return [*cells, half(row.error)[1:], half(row.half_width), percent(row.coverage), percent(row.detected)]
    return [*cells, span(row.low, row.high), "yes" if row.coverage else "no"]


def concluded(outcomes: Sequence[Outcome], confidence: float) -> str:
    """How many of all intervals hold the truth, in words, what was promised, and why some are below 0."""
    held = sum((row.coverage or 0) * row.published for row in outcomes)
    total = sum(row.published for row in outcomes)
    if not total:
        return "No question has enough reports to be published; it takes more devices, or a smaller min_reports."
    below = any(((row.low or 0) if row.repetitions == 1 else (row.estimate or 0)) < 0 for row in outcomes)
    return (
        f"{held:,.0f} of {total:,} intervals hold the truth: {held / total:.1%} ({confidence:.0%} is promised on"
        f" average over many runs{'' if outcomes[0].repetitions > 1 else '; --repetitions 200 makes as many'})."
        f"{f' {UNCUT}' if below else ''}"
    )
