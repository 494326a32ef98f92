"""Tables of text, for a terminal or a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table

from hushtally.aggregator.terminal import cell, print_table, print_title, print_words


@dataclass(frozen=True)
class TextTable:
    """A table with a title, a subtitle beside it, and a footnote below.

    text_columns: the columns that hold text, which may be wrapped; all other columns hold figures. highlighted: the
    index of the row to print in bold, or None.
    """

    title: str
    subtitle: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    text_columns: Sequence[str] = ()
    highlighted: int | None = None
    footnote: str = ""


def print_text_table(table: TextTable, out: Console) -> None:
    """Print the title, the rows and the footnote of a table, and an empty line."""
    if table.title:
        print_title(table.title, table.subtitle, out)
    if table.rows:
        grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for name in table.columns:
            is_text = name in table.text_columns
            grid.add_column(
                cell(name, out), justify="left" if is_text else "right", no_wrap=not is_text, overflow="fold"
            )
        for number, row in enumerate(table.rows):
            grid.add_row(*(cell(text, out) for text in row), style="bold" if number == table.highlighted else None)
        print_table(grid, out)
    if table.footnote:
        print_words(f"  {table.footnote}", out)
    out.print()
