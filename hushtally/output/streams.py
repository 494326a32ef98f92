"""The output streams of the command: text for people, and UTF-8 for programs."""

from __future__ import annotations

import io
import logging
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from hushtally.output.printable import printable


def prepare_streams() -> None:
    """Prepare stdout, stderr and the log, so that no character can make a command fail or change the terminal."""
    if sys.stdout is None:  # the caller closed it
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    if sys.stderr is sys.__stderr__ and isinstance(sys.stderr, io.TextIOWrapper):
        raw = _Stderr(sys.stderr.fileno(), "w", closefd=False)
        sys.stderr = io.TextIOWrapper(
            io.BufferedWriter(raw), sys.stderr.encoding, sys.stderr.errors, line_buffering=True
        )
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="backslashreplace")
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(_PrintableFormatter())


def print_text(text: str, *, err: bool = False) -> None:
    """Print a line, or several, for people; characters that are not printable are escaped.

    err: print on stderr. A command does not fail if stderr cannot be written.
    """
    if not err:
        _write(sys.stdout, text)
    elif sys.stderr is not None:
        with suppress(OSError):
            _write(sys.stderr, text)


def print_data(text: str) -> None:
    """Print JSON or CSV: always in UTF-8, and unchanged except for surrogates, which are escaped as in JSON."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
    sys.stdout.buffer.flush()


def encoding_of(stream: TextIO | None) -> str:
    """The encoding of a text stream; UTF-8 if it has none."""
    return getattr(stream, "encoding", None) or "utf-8"


def _write(stream: TextIO, text: str) -> None:
    stream.write(printable(text, encoding_of(stream), line_breaks=True) + "\n")
    stream.flush()


class _Stderr(io.FileIO):
    """Stderr whose reader may go away: what cannot be written is lost, and the command continues."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


class _PrintableFormatter(logging.Formatter):
    """A line of the log on stderr."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), line_breaks=True)
