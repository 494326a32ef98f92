"""The bar that shows how far long work has come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

# what shows how far work is: from words and the number of steps (None if unknown) to what is called at every step
Meter = Callable[[str, int | None], AbstractContextManager[Callable[[], object]]]


@contextmanager
def silent(words: str, total: int | None) -> Iterator[Callable[[], object]]:
    """Shows nothing."""
    yield lambda: None


@contextmanager
def progress(words: str, total: int | None) -> Iterator[Callable[[], object]]:
    """A bar on the terminal that takes a step at every call of what it yields; total: steps, None if unknown."""
    left = TimeElapsedColumn() if total is None else TimeRemainingColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), left)
    shown_on = Console(stderr=True, highlight=False)
    with Progress(*columns, console=shown_on, transient=True, disable=not shown_on.is_terminal) as bar:
        task = bar.add_task(words, total=total)
        taken, shown = count(1), monotonic()  # a counter that threads can share

        def advance() -> None:
            nonlocal shown
            steps = next(taken)
            if monotonic() - shown > 0.1:
                bar.update(task, completed=steps)
                shown = monotonic()

        yield advance
