"""Sheets: tables of cells that are ready to be read, in a terminal or on a page."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from aggregator.formats import PIPED_WIDTH

UNBOUNDED = 10_000  # columns: wider than any table


@dataclass(frozen=True)
class Sheet:
    """A table with a title, and what stands beside it and below.

    words: the columns that hold words, which may be wrapped; all others are figures. stressed: the number of a row to
    stress, None for none.
    """

    title: str
    about: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: Sequence[str] = ()
    stressed: int | None = None
    remark: str = ""


def console() -> Console:
    """The console of results: as wide as the terminal, or of one fixed width in a pipe."""
    return Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False)


def print_words(words: str, out: Console, style: str | None = None) -> None:
    """Words, wrapped where a terminal ends; in a pipe nothing ends."""
    out.print(words, style=style, markup=False, soft_wrap=not out.is_terminal)


def print_sheet(sheet: Sheet, out: Console) -> None:
    """Title, table and remark of a sheet, and an empty line."""
    if sheet.title:
        out.print(f"[bold]{escape(sheet.title)}[/bold]  {escape(sheet.about)}".rstrip())
    if sheet.rows:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for name in sheet.columns:
            words = name in sheet.words
            table.add_column(name, justify="left" if words else "right", no_wrap=not words, overflow="fold")
        for number, row in enumerate(sheet.rows):
            table.add_row(*map(escape, row), style="bold" if number == sheet.stressed else None)
        print_table(table, out)
    if sheet.remark:
        print_words(f"  {sheet.remark}", out)
    out.print()


def fits(table: Table, out: Console) -> bool:
    """Whether nothing of the table has to be wrapped."""
    return Measurement.get(out, out.options.update(max_width=UNBOUNDED), table).maximum <= out.width


def print_table(table: Table, out: Console) -> None:
    """Prints a table whose columns of figures (no_wrap) are whole, whatever the terminal's width."""
    for column in table.columns:
        if column.no_wrap:
            column.min_width = max(cell_len(str(cell)) for cell in (column.header, *column.cells))
    out.print(table, crop=False)
