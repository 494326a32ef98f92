"""Tables of the demo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hushtally.aggregator.share_format import interval_plot, percent, span
from hushtally.aggregator.summary import Row
from hushtally.aggregator.terminal import cell, print_table, width
from hushtally.client_sdk.explain.wording import counted
from hushtally.simulations.demo.comparison import Comparison


def print_question(question: str, comparisons: Sequence[Comparison], console: Console) -> None:
    """Print the table of a question; also draw the intervals if the terminal is wide enough."""
    if console.is_terminal:
        table = _table(question, comparisons, console, interval_plot([one.row for one in comparisons], console))
        if width(table, console) <= console.width:
            return print_table(table, console)
    return print_table(_table(question, comparisons, console, None), console)


def _table(
    question: str, comparisons: Sequence[Comparison], console: Console, draw: Callable[[Row], str] | None
) -> Table:
    table = Table(title=Text(question, "bold"), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("acquired", no_wrap=True)
    table.add_column("segment", no_wrap=True)
    for name in ("truth", "estimate", "95% interval"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("covers", no_wrap=True)
    if draw:
        table.add_column("", no_wrap=True)
    for group, part in groupby(comparisons, key=lambda one: one.group or "all"):
        for index, one in enumerate(part):
            row = one.row
            cells: list[Text | str] = [
                group if index == 0 else counted(row.reports, "report") if index == 1 else "",
                cell(row.segment, console),
                percent(one.truth),
                percent(row.estimate) if row.published else "too few",
                span(row.low, row.high),
                ("yes" if one.covers else "no") if row.published else "-",
            ]
            table.add_row(*cells, *([draw(row)] if draw else []))
        table.add_section()
    return table
