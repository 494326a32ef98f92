"""Tables of statistics other than shares: one table for every question, epoch and group of customers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hushtally.aggregator.row import Row
from hushtally.aggregator.share_format import percent
from hushtally.aggregator.terminal import cell, print_table, print_title, print_words
from hushtally.client_sdk.explain.wording import counted


def _times(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}x"


def _points(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2%}"


def _rank(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}"


# for the kinds that are not percentages
FORMATS: dict[str, Callable[[float | None], str]] = {
    "ratio": _times,
    "trend": _points,
    "rank": _rank,
    "lift": _times,
    "mean": _number,
    "quantile": _number,
}
LEGENDS = {
    "share": "Shares, not cut to 0-100%.",
    "rate": "The share of the customers in the segment who have the outcome.",
    "difference": "A difference in percentage points.",
    "ratio": "How many times as large the first figure is as the second.",
    "trend": "The slope of the best line, in percentage points an epoch.",
    "rank": "Ranks, 1 for the largest. All intervals of a table contain the true ranks at once.",
    "lift": "How many times as often two segments occur together as if they were independent.",
    "mean": "Between the least and the largest mean that the ranges allow. There is no single estimate.",
    "quantile": "From an edge to an edge. There is no single estimate.",
    "membership": "How sure anyone can be that a customer is in the segment, and the range after one report.",
    "linear": "A weighted sum of shares. One is 100%.",
}
TOPS = {"yes": "surely {}", "maybe": "maybe {}", "no": ""}  # how a table describes a rank
REFUTED = "refuted: the share moved by more than you declared, so its figures are those of the epoch alone."
ALWAYS_VALID = "The intervals hold however often you look at an open epoch. They are about twice as long as others."
SIMULTANEOUS = "simultaneous: contains all true figures of a table at once with this confidence."


def print_statistic_tables(rows: Iterable[Row], console: Console) -> None:
    """Print one table for every question, epoch and group, and below the last table what the figures mean."""
    seen = list(rows)
    kinds = {row.kind: row for row in seen if row.published}
    for _, group in groupby(seen, key=lambda row: (row.question, row.epoch, dict(row.cohort), row.outcome, row.versus)):
        _print_group(list(group), console)
    for kind, row in kinds.items():
        print_words(LEGENDS[kind], console, "dim")
        if kind == "membership":
            continue
        whose = "all customers" if row.population == "customers" else "the respondents only"
        print_words(
            f"{_interval_heading(row)}: contains the true figure of {whose} with this confidence.", console, "dim"
        )
    if any(row.quality == "refuted" for row in seen):
        print_words(REFUTED, console, "dim")
    if any(row.quality == "always-valid" for row in seen):
        print_words(ALWAYS_VALID, console, "dim")
    if any(row.p_value is not None for row in kinds.values()):
        print_words("p: the probability of such different estimates if the share never changed.", console, "dim")
    if any(row.simultaneous_low is not None for row in kinds.values()):
        print_words(SIMULTANEOUS, console, "dim")


def _interval_heading(row: Row) -> str:
    return f"{row.confidence * 100:.6g}% interval"


def _print_group(rows: Sequence[Row], console: Console) -> None:
    first = rows[0]
    group = ", ".join(f"{name}={value}" for name, value in first.cohort.items())
    epoch = first.epoch if first.complete else f"{first.epoch} (open)"
    weighted = "weighted by customers" if first.pooling == "customers" else None
    about = [
        part for part in (first.outcome, f"compared with {first.versus}" if first.versus else None, weighted) if part
    ]
    kind = first.kind if first.published and first.estimate is None else ""
    about = [kind, *about] if kind else about
    details = [*about, epoch, *([group] if group else []), counted(first.reports, "report")]
    print_title(first.question, "  ".join(details), console)
    if any(row.published for row in rows):
        print_table(_table(rows, console), console)
        for row in rows:
            if not row.published:
                print_words(f"  {row.segment}: {row.reason}", console)
    else:
        print_words(f"  not published: {first.reason}", console)
    console.print()


def _table(rows: Sequence[Row], console: Console) -> Table:
    first = next(row for row in rows if row.published)
    simultaneous = any(row.simultaneous_low is not None for row in rows)
    remarks = any(_remark(row) for row in rows)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("segment", no_wrap=True)
    estimated = first.estimate is not None
    headings = [*([first.kind] if estimated else []), _interval_heading(first), *(["simultaneous"] * simultaneous)]
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    if remarks:
        table.add_column("", no_wrap=True)
    for row in rows:
        figures = [_figure(row, row.estimate)] if estimated else []
        cells: list[Text | str] = [cell(row.segment, console), *figures, _span(row, row.low, row.high)]
        if simultaneous:
            cells.append(_span(row, row.simultaneous_low, row.simultaneous_high))
        if remarks:
            cells.append(cell(_remark(row), console))
        table.add_row(*cells)
    return table


def _figure(row: Row, value: float | None) -> str:
    return FORMATS.get(row.kind, percent)(value)


def _span(row: Row, low: float | None, high: float | None) -> str:
    return "-" if low is None or high is None else f"{_figure(row, low)} to {_figure(row, high)}"


def _remark(row: Row) -> str:
    """Return what a reader must know about one row."""
    if row.p_value is not None:
        return f"p = {row.p_value:.3f}" if row.p_value >= 0.0005 else "p < 0.001"
    if row.top is not None:
        return TOPS[row.top].format(row.outcome)
    if row.cluster is not None:
        return f"cluster {row.cluster}"
    return row.quality if row.quality in ("weak", "refuted") else ""
