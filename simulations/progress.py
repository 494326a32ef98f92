"""The bar that shows how far long work has come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


@contextmanager
def progress(words: str, total: int | None) -> Iterator[Callable[[], object]]:
    """A bar on the terminal that takes a step at every call of what it yields; total: steps, None if unknown."""
    left = TimeElapsedColumn() if total is None else TimeRemainingColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), left)
    shown_on = Console(stderr=True, highlight=False)
    with Progress(*columns, console=shown_on, transient=True, disable=not shown_on.is_terminal) as bar:
        task = bar.add_task(words, total=total)
        taken, shown = 0, monotonic()

        def advance() -> None:
            nonlocal taken, shown
            taken += 1
            if monotonic() - shown > 0.1:
                bar.update(task, completed=taken)
                shown = monotonic()

        yield advance
