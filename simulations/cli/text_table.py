"""Sheets: tables of cells that are ready to be read, in a terminal or on a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hushtally.aggregator.terminal import print_table, print_title, print_words


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


def print_sheet(sheet: Sheet, out: Console) -> None:
    """Title, table and remark of a sheet, and an empty line."""
    if sheet.title:
        print_title(sheet.title, sheet.about, out)
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
