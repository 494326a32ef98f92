"""Progress bars on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

REFRESH_SECONDS = 0.1

# takes a description and the number of steps (None if unknown); the block calls the function that it gets after a step
ProgressBar = Callable[[str, int | None], AbstractContextManager[Callable[[], object]]]


@contextmanager
def no_progress(description: str, steps: int | None) -> Iterator[Callable[[], object]]:
    """Show nothing."""
    yield lambda: None


@contextmanager
def progress_bar(description: str, steps: int | None) -> Iterator[Callable[[], object]]:
    """Show a bar that advances with every call of the yielded function, from any thread; nothing if not a terminal.

    steps: the number of calls; None if unknown, which shows the elapsed time.
    """
    time = TimeElapsedColumn() if steps is None else TimeRemainingColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), time)
    stderr = Console(stderr=True, highlight=False)
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as bar:
        task = bar.add_task(description, total=steps)
        counter, updated = count(1), monotonic()  # threads can share this counter

        def advance() -> None:
            nonlocal updated
            completed = next(counter)
            if monotonic() - updated > REFRESH_SECONDS:
                bar.update(task, completed=completed)
                updated = monotonic()

        yield advance
