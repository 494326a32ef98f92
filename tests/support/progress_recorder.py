"""Progress bars that record what they show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class ProgressRecorder:
    """Records the description, the announced steps and the taken steps of each progress bar."""

    def __init__(self) -> None:
        self.shown: list[tuple[str, int | None, int]] = []

    @contextmanager
    def __call__(self, description: str, steps: int | None) -> Iterator[Callable[[], object]]:
        taken: list[int] = []
        yield lambda: taken.append(1)
        self.shown.append((description, steps, len(taken)))
