"""Tables: prints a summary to a terminal or a pipe."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from itertools import groupby

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hushtally.aggregator.row import Row
from hushtally.aggregator.share_format import interval_plot, percent, span
from hushtally.aggregator.terminal import cell, print_table, print_title, print_words, width
from hushtally.client_sdk.explain.wording import counted
from hushtally.client_sdk.survey import Survey

MAX_SHOWN = 50  # segments in one table; for a longer domain, the table shows the largest segments
LONGEST_SEGMENT = 36  # characters of a segment's name
SHORTEST_SEGMENT = 8


def print_tables(rows: Iterable[Row], survey: Survey, console: Console) -> None:
    """Print one table for every question, epoch and group of a summary. Figures are never cut to fit the console.

    A table has consistent shares if the console is wide enough, and a plot of the intervals on a wide terminal.
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


def _interval_heading(row: Row) -> str:
    return f"{row.confidence * 100:.6g}% interval"


def _legend(row: Row, consistent: bool) -> list[str]:
    lines = [
        "Shares of all customers. The respondents are a sample of them."
        if row.population == "customers"
        else "Shares of the respondents only.",
        "Shares are not cut to 0-100%: noise can push a share below 0% or above 100%.",
        f"{_interval_heading(row)}: contains the true share of one segment with this confidence.",
        "simultaneous: contains all true shares of a table at once with this confidence.",
        "Use the column simultaneous for segments that you pick from the table, such as",
        "the largest: the other intervals miss the share of picked segments more often.",
    ]
    return [*lines, "consistent: the closest shares that are not negative and add up to 100%."] if consistent else lines


def _print_group(shares: Sequence[Row], survey: Survey, console: Console) -> bool:
    """Print the table of one group, and return whether the table has consistent shares."""
    first = shares[0]
    group = ", ".join(f"{name}={value}" for name, value in first.cohort.items())
    epoch = first.epoch
    if not first.complete:
        epoch = f"{epoch} (open: reports are accepted until {_last_day(first, survey)})"
    details = [epoch, *([group] if group else []), counted(first.reports, "report")]
    print_title(first.question, "  ".join(details), console)
    if not first.published:
        print_words(f"  not published: {first.reason}\n", console)
        return False
    shown = sorted(shares, key=_share, reverse=True)[:MAX_SHOWN] if len(shares) > MAX_SHOWN else shares
    consistent = _print_table(shown, console)
    if len(shown) < len(shares):
        hidden = len(shares) - len(shown)
        print_words(f"  the {len(shown)} largest segments; --format csv or json has {hidden:,} more", console)
    console.print()
    return consistent


def _last_day(row: Row, survey: Survey) -> date:
    return survey.accepted_until(survey.epoch.first_day(row.epoch))


def _print_table(shares: Sequence[Row], console: Console) -> bool:
    """Print the most complete table that fits, and return whether it has consistent shares.

    The table loses the plot first, then the consistent shares, then the end of long segment names. If it is still too
    wide, the terminal breaks its lines.
    """
    table = _table(shares, console, interval_plot(shares, console)) if console.is_terminal else _table(shares, console)
    if width(table, console) > console.width:
        table = _table(shares, console)
    consistent = width(table, console) <= console.width
    if not consistent:
        table = _table(shares, console, consistent=False)
        excess = width(table, console) - console.width
        if excess > 0:
            longest = max(cell(row.segment, console, LONGEST_SEGMENT).cell_len for row in shares)
            table = _table(shares, console, consistent=False, longest=max(longest - excess, SHORTEST_SEGMENT))
    print_table(table, console)
    return consistent


def _table(
    shares: Sequence[Row],
    console: Console,
    plot: Callable[[Row], str] | None = None,
    *,
    consistent: bool = True,
    longest: int = LONGEST_SEGMENT,
) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("segment", no_wrap=True)
    headings = ["estimate", _interval_heading(shares[0]), "simultaneous", *(["consistent"] if consistent else [])]
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    if plot:
        table.add_column("", no_wrap=True)
    for row in shares:
        cells: list[Text | str] = [
            cell(row.segment, console, longest),
            percent(row.estimate),
            span(row.low, row.high),
            span(row.simultaneous_low, row.simultaneous_high),
        ]
        if consistent:
            cells.append(percent(row.consistent))
        if plot:
            cells.append(plot(row))
        table.add_row(*cells)
    return table


def _share(row: Row) -> float:
    return row.estimate or 0.0
