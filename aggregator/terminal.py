"""Words and tables for a reader: wrapped where a terminal ends, whole in a pipe, and no figure ever cut."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement, measure_renderables
from rich.table import Table

PIPED_WIDTH = 100
UNBOUNDED = 10_000  # columns: wider than any table


def console() -> Console:
    """The console of results: as wide as the terminal, or of one fixed width in a pipe."""
    return Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False)


def print_words(words: str, out: Console, style: str | None = None) -> None:
    """Words, wrapped where a terminal ends; in a pipe nothing ends."""
    out.print(words, style=style, markup=False, soft_wrap=not out.is_terminal)


def print_title(title: str, about: str, out: Console) -> None:
    """A title, and on its line what stands beside it."""
    out.print(f"[bold]{escape(title)}[/bold]  {escape(about)}".rstrip(), soft_wrap=not out.is_terminal)


def width(table: Table, out: Console) -> int:
    """The columns that a table takes if nothing of it is wrapped."""
    return Measurement.get(out, out.options.update(max_width=UNBOUNDED), table).maximum


def print_table(table: Table, out: Console) -> None:
    """Prints a table whose columns of figures (no_wrap) are whole, whatever the terminal's width; no line ends in
    blanks."""
    options = out.options.update(max_width=UNBOUNDED)
    for column in table.columns:
        if column.no_wrap:
            column.min_width = measure_renderables(out, options, [column.header, *column.cells]).maximum
    with out.capture() as printed:
        out.print(table, crop=False)
    for line in printed.get().removesuffix("\n").split("\n"):
        out.out(line.rstrip(), highlight=False)
