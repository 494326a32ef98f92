"""Terminal: prints lines and tables. They are wrapped on a terminal and complete in a pipe; no figure is cut."""

from __future__ import annotations

import sys

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.measure import Measurement, measure_renderables
from rich.table import Table
from rich.text import Text

from hushtally.output.printable import printable

PIPED_WIDTH = 100
UNBOUNDED = 10_000  # columns; wider than any table


def console() -> Console:
    """Return the console for results: as wide as the terminal, or PIPED_WIDTH columns wide in a pipe."""
    return Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False)


def cell(text: str, out: Console, longest: int = UNBOUNDED) -> Text:
    """Return a table cell with exactly this string. Without this, rich would replace markup and emoji codes.

    Characters that the console cannot show are escaped. longest: the number of columns to which a string is cut.
    """
    shown = printable(text, out.encoding)
    if cell_len(shown) > longest:
        ellipsis = printable("…", out.encoding)
        shown = set_cell_size(shown, longest - len(ellipsis)).rstrip() + ellipsis
    return Text(shown)


def print_words(words: str, out: Console, style: str = "") -> None:
    """Print a string: wrapped on a terminal, on one line in a pipe."""
    out.print(Text(printable(words, out.encoding, line_breaks=True), style), soft_wrap=not out.is_terminal)


def print_title(title: str, about: str, out: Console) -> None:
    """Print a title in bold, and `about` on the same line."""
    line = Text.assemble((printable(title, out.encoding), "bold"), "  ", printable(about, out.encoding))
    line.rstrip()
    out.print(line, soft_wrap=not out.is_terminal)


def width(table: Table, out: Console) -> int:
    """Return the number of columns that a table needs if no cell is wrapped."""
    return Measurement.get(out, out.options.update(max_width=UNBOUNDED), table).maximum


def print_table(table: Table, out: Console) -> None:
    """Print a table. Columns of figures (no_wrap) are never cut, and no line ends in blanks."""
    options = out.options.update(max_width=UNBOUNDED)
    for column in table.columns:
        if column.no_wrap:
            column.min_width = measure_renderables(out, options, [column.header, *column.cells]).maximum
    with out.capture() as printed:
        out.print(table, crop=False)
    for line in printed.get().removesuffix("\n").split("\n"):
        out.out(line.rstrip(), highlight=False)
