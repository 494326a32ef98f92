"""What simulations find, as JSON, CSV or a table to read."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import groupby

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from aggregator.formats import LONGEST_SEGMENT, MOST_SHOWN, PIPED_WIDTH, percent, span
from simulations.outlook import Outlook
from simulations.simulate import Outcome
from simulations.tune import Tuning, sure


def console() -> Console:
    """The console of results: as wide as the terminal, or of one fixed width in a pipe."""
    return Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False)


def half(share: float) -> str:
    """Half the length of an interval as people read it, in percentage points."""
    return f"±{100 * share:.2f}" if share < 0.1 else f"±{100 * share:.1f}"


def print_tuning(tuning: Tuning, out: Console) -> None:
    """What is revealed at every epsilon, what every question can be told at it, and the kinds of memory compared."""
    first = next(iter(tuning.outlooks.values()))
    out.print(_overview(tuning))
    for index, question in enumerate(first):
        out.print(
            f"\n[bold]{escape(question.question)}[/bold]  {question.segments:,} segments,"
            f" {question.reports:,} reports an epoch"
        )
        out.print(_of_question([rows[index] for rows in tuning.outlooks.values()]))
    if tuning.alternatives:
        out.print(f"\n[bold]memory and answers_every[/bold] at epsilon {tuning.alternatives[0][0].epsilon:g}")
        out.print(_memories(tuning))


def _overview(tuning: Tuning) -> Table:
    table = _table(["epsilon", "interval", "devices needed", "lifetime", "one report", "all reports"])
    for epsilon, rows in tuning.outlooks.items():
        table.add_row(
            f"{epsilon:g}",
            _half_width(max(rows, key=lambda row: row.half_width)),
            f"{max(row.devices_for_target for row in rows):,}",
            f"{rows[0].lifetime_epsilon:g}",
            sure(max(row.belief_one_report for row in rows)),
            sure(rows[0].belief_lifetime),
            style="bold" if epsilon == tuning.recommended else None,
        )
    return table


def _of_question(rows: Sequence[Outlook]) -> Table:
    table = _table(["epsilon", "interval", "told from 0", "shown", "devices needed", "as plain"])
    table.add_column("mechanism", no_wrap=True)
    for row in rows:
        table.add_row(
            f"{row.question_epsilon:g}",
            _half_width(row),
            "none" if row.detectable_share is None else percent(row.detectable_share),
            "-" if row.power_displayed is None else f"{row.power_displayed:.0%}",
            f"{row.devices_for_target:,}",
            f"{row.plain_equivalent:,.0f}",
            row.mechanism,
            style="bold" if row.recommended else None,
        )
    return table


def _memories(tuning: Tuning) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("memory")
    for name in ("every", "interval", "lifetime", "all reports"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("protects")
    for rows in tuning.alternatives:
        table.add_row(
            rows[0].memory,
            f"{rows[0].answers_every}",
            _half_width(max(rows, key=lambda row: row.half_width)),
            f"{rows[0].lifetime_epsilon:g}",
            sure(rows[0].belief_lifetime),
            rows[0].protects,
        )
    return table


def _table(names: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _half_width(row: Outlook) -> str:
    return half(row.half_width) if row.published else "too few"


def print_outcomes(outcomes: Sequence[Outcome], confidence: float, out: Console) -> None:
    """One table for every question and epoch: truth and estimate, and how they differ over the repetitions."""
    for (question, epoch), group in groupby(outcomes, key=lambda one: (one.question, one.epoch)):
        rows = list(group)
        reports = f"{rows[0].reports:,.0f} reports" + " on average" * (rows[0].repetitions > 1)
        out.print(f"[bold]{escape(question)}[/bold]  {epoch}  {reports}")
        if not rows[0].published:
            out.print("  too few to be published\n")
            continue
        shown = sorted(rows, key=lambda one: one.truth, reverse=True)[:MOST_SHOWN] if len(rows) > MOST_SHOWN else rows
        out.print(_of_outcomes(shown))
        if len(shown) < len(rows):
            out.print(f"  the largest {len(shown)}; {len(rows) - len(shown):,} more with --format csv or --format json")
        out.print()
    out.print(covered(outcomes, confidence))


def _of_outcomes(rows: Sequence[Outcome]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("segment", no_wrap=True, overflow="ellipsis", max_width=LONGEST_SEGMENT)
    several = rows[0].repetitions > 1
    names = ["mean", "error", "interval", "coverage", "above 0"] if several else ["estimate", "interval", "holds"]
    for name in ("truth", *names):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        assert row.error is not None
        assert row.half_width is not None
        if several:
            cells = [percent(row.estimate), half(row.error)[1:], half(row.half_width)]
            cells += [percent(row.coverage), percent(row.detected)]
        else:
            cells = [percent(row.estimate), span(row.low, row.high), "yes" if row.coverage else "no"]
        table.add_row(escape(row.segment), percent(row.truth), *cells)
    return table


def covered(outcomes: Sequence[Outcome], confidence: float) -> str:
    """How many of all intervals hold the truth, in words."""
    held = sum((row.coverage or 0) * row.published for row in outcomes)
    total = sum(row.published for row in outcomes)
    if not total:
        return "No question has reports enough to be published: more devices would, or a smaller min_reports."
    return (
        f"{held:,.0f} of {total:,} intervals hold the truth: {held / total:.1%} ({confidence:.0%} is promised; those of"
        " one question depend on each other)."
    )
