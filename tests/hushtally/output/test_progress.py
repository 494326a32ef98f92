"""Progress on stderr: a bar on a terminal, lines at growing intervals elsewhere, nothing if it is switched off."""

from __future__ import annotations

import io
import re
import threading
import time
from types import SimpleNamespace

import pytest

from hushtally.output import progress
from hushtally.output.progress import no_progress, progress_bar

DEADLINE = 60.0  # seconds, for the slowest machine


class Screen(io.StringIO):
    """A stream that remembers what was written to it; `terminal`: whether it claims to be a terminal."""

    encoding = "utf-8"

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal

    def wait_for(self, pattern: str, times: int = 1) -> None:
        """Wait until a pattern was written so many times."""
        deadline = time.monotonic() + DEADLINE
        while len(re.findall(pattern, self.getvalue())) < times:
            assert time.monotonic() < deadline, self.getvalue()
            time.sleep(0.005)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress is on, and appears after a few milliseconds."""
    monkeypatch.delenv("HUSHTALLY_NO_PROGRESS")
    monkeypatch.delenv("TERM", raising=False)
    for name in ("BAR_DELAY", "REDRAW", "FIRST_LINE"):
        monkeypatch.setattr(progress, name, 0.01)
    monkeypatch.setattr(progress, "_silence", progress._Silence())


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """A terminal as stderr."""
    screen = Screen(terminal=True)
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=screen))
    return screen


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """A pipe as stderr."""
    screen = Screen(terminal=False)
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=screen))
    return screen


def test_a_terminal_gets_a_bar_that_disappears(terminal: Screen) -> None:
    """The bar shows the description, the share of the steps and the time that is left. Nothing of it stays."""
    with progress_bar("Counting", 4) as advance:
        terminal.wait_for(r"\rCounting  \[-{24}\]   0%  0 s so far")
        advance()
        terminal.wait_for(r"\rCounting  \[#{6}-{18}\]  25%  about \d+ s left")
    assert terminal.getvalue().endswith("\r\x1b[K")
    assert "\n" not in terminal.getvalue()


def test_a_bar_of_unknown_length_shows_the_time(terminal: Screen) -> None:
    with progress_bar("Reading", None):
        terminal.wait_for(r"\rReading  \d+ s so far")


@pytest.mark.parametrize("name", ["n" * 200, "名" * 200])
def test_a_bar_fits_the_terminal(terminal: Screen, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A bar of two lines would fill the screen. A wide letter takes two columns."""
    monkeypatch.setenv("COLUMNS", "70")
    with progress_bar(f"Reading {name}", 10):
        terminal.wait_for("so far")
    [line, *_] = re.findall(r"\r(.+?)\x1b", terminal.getvalue())
    assert len(line) + line.count("名") < 70
    assert line.startswith(f"Reading {name[0]}")


def test_a_pipe_gets_lines(pipe: Screen) -> None:
    """Each line says how far the command is. There is no control character."""
    with progress_bar("Counting", 3) as advance:
        advance()
        pipe.wait_for(r"(?m)^Counting: 33%, about \d+ s left$", times=2)
    with progress_bar("Reading", None):
        pipe.wait_for(r"(?m)^Reading: \d+ s so far$")
    assert pipe.getvalue().replace("\n", "").isprintable()


def test_the_pause_between_lines_doubles_up_to_a_minute() -> None:
    silence = progress._Silence()
    pauses = []
    for _ in range(20):
        silence.broken()
        pauses.append(silence._pause)
    assert pauses[:3] == [0.02, 0.04, 0.08]
    assert pauses[-1] == progress.LONGEST_PAUSE == 60


def test_many_short_parts_are_not_silent(pipe: Screen) -> None:
    """A command of many parts, each shorter than the time until the first line, prints lines all the same."""
    deadline = time.monotonic() + DEADLINE
    while "Part" not in pipe.getvalue() and time.monotonic() < deadline:
        with progress_bar("Part", None):
            time.sleep(0.001)
    assert "Part: 0 s so far" in pipe.getvalue()


def test_a_part_after_a_long_time_without_any_starts_anew(pipe: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that closes its database after a day prints nothing if that takes a moment."""
    with progress_bar("Opening", None):
        pass
    time.sleep(0.02)  # longer than FIRST_LINE
    monkeypatch.setattr(progress, "FIRST_LINE", DEADLINE)
    progress._silence._ended = float("-inf")
    with progress_bar("Closing", None):
        time.sleep(0.05)
    assert "Closing" not in pipe.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_can_be_switched_off(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    """With HUSHTALLY_NO_PROGRESS=1, no thread starts, so nothing can be printed."""
    screen = Screen(terminal)
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=screen))
    for value, shown in (("1", no_progress), ("1", progress_bar), ("0", no_progress)):
        monkeypatch.setenv("HUSHTALLY_NO_PROGRESS", value)
        before = threading.active_count()
        with shown("Counting", 3) as advance:
            advance()
            assert threading.active_count() == before
    assert screen.getvalue() == ""


def test_a_simple_terminal_gets_lines(terminal: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that knows no control sequence is treated like a pipe."""
    monkeypatch.setenv("TERM", "dumb")
    with progress_bar("Counting", None):
        terminal.wait_for(r"(?m)^Counting: 0 s so far$")
    assert "\x1b" not in terminal.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_a_name_cannot_control_the_terminal(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    """The description may contain the name of a file."""
    screen = Screen(terminal)
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=screen))
    with progress_bar("Reading a\x1b[31mb\n\udce9.csv", None):
        screen.wait_for(r"so far")
    assert r"Reading a\x1b[31mb\n\udce9.csv" in screen.getvalue()


class Broken(Screen):
    """A stream whose reader has gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        raise BrokenPipeError


@pytest.mark.parametrize(
    "stderr", [Broken(terminal=True), Broken(terminal=False), None], ids=["terminal", "pipe", "closed"]
)
def test_a_command_runs_on_if_nobody_reads_stderr(monkeypatch: pytest.MonkeyPatch, stderr: Screen | None) -> None:
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=stderr))
    with progress_bar("Counting", 2) as advance:
        time.sleep(0.05)
        advance()


def test_an_error_in_the_block_ends_the_bar(terminal: Screen) -> None:
    def fail() -> None:
        with progress_bar("Counting", None):
            terminal.wait_for("Counting")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert terminal.getvalue().endswith("\r\x1b[K")


@pytest.mark.parametrize(("seconds", "words"), [(0.4, "0 s"), (59, "59 s"), (200, "3 min 20 s"), (7_500, "2 h 5 min")])
def test_durations_in_words(seconds: float, words: str) -> None:
    assert progress._duration(seconds) == words
