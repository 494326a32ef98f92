"""A summary as tables on a terminal or in a pipe."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from itertools import groupby

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hushtally.aggregator.share_format import interval_plot, percent, span
from hushtally.aggregator.summary import Row
from hushtally.aggregator.terminal import print_table, print_title, print_words, width
from hushtally.client_sdk.explain.wording import counted
from hushtally.client_sdk.survey import Survey

MOST_SHOWN = 50  # segments of one table; beyond it the largest are shown
LONGEST_SEGMENT = 36
SHORTEST_SEGMENT = 8


def print_tables(rows: Iterable[Row], survey: Survey, console: Console) -> None:
    """One table for every question, epoch and group of one summary; no figure is cut to fit the console.

    Where it is wide enough, a table has consistent shares, and on a terminal a picture of the intervals.
    """
    published: Row | None = None
    consistent = False
    for _, group in groupby(rows, key=lambda row: (row.question, row.epoch, dict(row.cohort))):
        shares = list(group)
        if shares[0].published:
            published = shares[0]
        consistent |= _print_group(shares, survey, console)
    if published is not None:
        for line in _legend(published, consistent):
            print_words(line, console, "dim")


def _legend(row: Row, consistent: bool) -> list[str]:
    whom = (
        "Shares of all customers; those who answered are a sample of them."
        if row.population == "customers"
        else "Shares of just those who answered."
    )
    lines = [
        whom,
        "Figures are not cut: noise can take a small share below 0%, a large above 100%.",
        f"interval: holds the share of one segment with {row.confidence * 100:.6g}% confidence.",
        "all at once: holds every share of a table together with that confidence.",
        "If you pick out the largest or smallest segments, read the column all at once:",
        "single intervals of picked segments miss more often.",
    ]
    return [*lines, "consistent: the closest shares that could be true."] if consistent else lines


def _print_group(shares: Sequence[Row], survey: Survey, console: Console) -> bool:
    """Whether it shows consistent shares."""
    first = shares[0]
    group = ", ".join(f"{name}={value}" for name, value in first.cohort.items())
    epoch = first.epoch if first.complete else f"{first.epoch} (open: reports come until {_last(first, survey)})"
    about = [epoch, *([group] if group else []), counted(first.reports, "report")]
    print_title(first.question, "  ".join(about), console)
    if not first.published:
        print_words(f"  not published: {first.reason}\n", console)
        return False
    shown = sorted(shares, key=_share, reverse=True)[:MOST_SHOWN] if len(shares) > MOST_SHOWN else shares
    consistent = _print_table(shown, console)
    if len(shown) < len(shares):
        hidden = len(shares) - len(shown)
        print_words(f"  the largest {len(shown)}; {hidden:,} more with --format csv or --format json", console)
    console.print()
    return consistent


def _last(row: Row, survey: Survey) -> date:
    return survey.accepted_until(survey.epoch.first_day(row.epoch))


def _print_table(shares: Sequence[Row], console: Console) -> bool:
    """The fullest table that fits; at the worst segments are cut, and then lines broken by the terminal."""
    table = _table(shares, interval_plot(shares, console)) if console.is_terminal else _table(shares)
    if width(table, console) > console.width:
        table = _table(shares)
    consistent = width(table, console) <= console.width
    if not consistent:
        table = _table(shares, consistent=False)
        excess = width(table, console) - console.width
        if excess > 0:
            longest = min(max(cell_len(row.segment) for row in shares), LONGEST_SEGMENT)
            table = _table(shares, consistent=False, longest=max(longest - excess, SHORTEST_SEGMENT))
    print_table(table, console)
    return consistent


def _table(
    shares: Sequence[Row],
    draw: Callable[[Row], str] | None = None,
    *,
    consistent: bool = True,
    longest: int = LONGEST_SEGMENT,
) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("segment", no_wrap=True, overflow="ellipsis", max_width=longest)
    for name in ("estimate", "interval", "all at once") + (("consistent",) if consistent else ()):
        table.add_column(name, justify="right", no_wrap=True)
    if draw:
        table.add_column("", no_wrap=True)
    for row in shares:
        cells = [
            escape(row.segment),
            percent(row.estimate),
            span(row.low, row.high),
            span(row.simultaneous_low, row.simultaneous_high),
        ]
        if consistent:
            cells.append(percent(row.consistent))
        if draw:
            cells.append(draw(row))
        table.add_row(*cells)
    return table


def _share(row: Row) -> float:
    return row.estimate or 0.0
