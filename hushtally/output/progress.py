"""Progress on stderr: a bar on a terminal, and lines at growing intervals elsewhere."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import count
from time import monotonic
from typing import TextIO

from hushtally.output.printable import printable
from hushtally.output.streams import encoding_of

BAR_DELAY = 0.5  # seconds until a bar appears, because a short part needs none
REDRAW = 0.1  # seconds
FIRST_LINE = 2.0  # seconds without output until a line; the pause then doubles with each line
LONGEST_PAUSE = 60.0  # seconds
BAR_WIDTH = 24

# takes a description and the number of steps (None if unknown); the block calls the function that it gets after a step
ProgressBar = Callable[[str, int | None], AbstractContextManager[Callable[[], object]]]


@contextmanager
def no_progress(description: str, steps: int | None) -> Iterator[Callable[[], object]]:
    """Show nothing."""
    yield lambda: None


@contextmanager
def progress_bar(description: str, steps: int | None) -> Iterator[Callable[[], object]]:
    """Show the progress of one part of a command; the block calls the yielded function after a step, from any thread.

    steps: the number of calls; None if unknown, which shows the elapsed time. A terminal gets a bar, which disappears
    after the block. Otherwise a line appears whenever the command was silent for some time. The environment variable
    HUSHTALLY_NO_PROGRESS switches both off.
    """
    stderr, part = sys.stderr, _Part(description, steps)
    if stderr is None or os.environ.get("HUSHTALLY_NO_PROGRESS", "0") not in ("", "0"):
        yield part.advance
        return
    show = _draw_bar if stderr.isatty() and os.environ.get("TERM") != "dumb" else _print_lines
    done = threading.Event()
    thread = threading.Thread(target=show, args=(part, stderr, done), daemon=True)
    thread.start()
    try:
        yield part.advance
    finally:
        done.set()
        thread.join()


class _Part:
    """How far one part of a command has come."""

    def __init__(self, description: str, steps: int | None) -> None:
        self.description = description
        self._steps = steps
        self._counter = count(1)  # threads can share it
        self._completed = 0
        self._began = monotonic()

    def advance(self) -> None:
        """Count one step."""
        self._completed = next(self._counter)

    @property
    def share(self) -> float | None:
        """The share of the steps that are completed, from 0 to 1; None if the number of steps is unknown."""
        return min(self._completed / self._steps, 1.0) if self._steps else None

    def time(self) -> str:
        """The time that is left, if it can be estimated, and otherwise the time that has passed."""
        elapsed = monotonic() - self._began
        if self.share:
            return f"about {_duration(elapsed * (1 - self.share) / self.share)} left"
        return f"{_duration(elapsed)} so far"


class _Silence:
    """How long the command has printed no progress, over all its parts: many short parts take as long as a long one."""

    def __init__(self) -> None:
        self._pause, self._due, self._ended = FIRST_LINE, 0.0, float("-inf")

    def begin(self) -> None:
        """A part begins; after a long time without any part, the time starts anew."""
        if monotonic() - self._ended > FIRST_LINE:
            self._pause = FIRST_LINE
            self._due = monotonic() + FIRST_LINE

    def end(self) -> None:
        """A part ends."""
        self._ended = monotonic()

    def remaining(self) -> float:
        """Seconds until a line is due."""
        return max(self._due - monotonic(), 0.0)

    def broken(self) -> None:
        """A line was printed."""
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self._due = monotonic() + self._pause


_silence = _Silence()


def _print_lines(part: _Part, stderr: TextIO, done: threading.Event) -> None:
    _silence.begin()
    with suppress(OSError, ValueError):  # nobody reads stderr, or it is closed
        while not done.wait(_silence.remaining()):
            percentage = "" if part.share is None else f"{part.share:.0%}, "
            stderr.write(printable(f"{part.description}: {percentage}{part.time()}", encoding_of(stderr)) + "\n")
            stderr.flush()
            _silence.broken()
    _silence.end()


def _draw_bar(part: _Part, stderr: TextIO, done: threading.Event) -> None:
    if done.wait(BAR_DELAY):
        return
    with suppress(OSError, ValueError):
        while True:
            stderr.write(f"\r{_bar(part, encoding_of(stderr))}\x1b[K")
            stderr.flush()
            if done.wait(REDRAW):
                break
        stderr.write("\r\x1b[K")
        stderr.flush()


def _bar(part: _Part, encoding: str) -> str:
    """One line that fits the terminal, also if each character of the description takes two columns."""
    state = part.time()
    if part.share is not None:
        filled = round(part.share * BAR_WIDTH)
        state = f"[{'#' * filled}{'-' * (BAR_WIDTH - filled)}] {part.share:4.0%}  {state}"
    description = printable(part.description, encoding)
    room = max(shutil.get_terminal_size().columns - len(state) - 3, 0)
    if not description.isascii():
        room //= 2
    return f"{description[:room]}  {state}"


def _duration(seconds: float) -> str:
    """A duration in words, like "22 s", "3 min 20 s" or "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3_600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3_600} h {whole % 3_600 // 60} min"
