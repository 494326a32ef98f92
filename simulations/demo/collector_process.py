"""A collector process on this machine that runs while a block runs."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hushtally.client_sdk.errors import HushtallyError
from hushtally.simulations.demo.program import process_environment, process_words

START_SECONDS = 120.0
STOP_SECONDS = 60.0
_READY = re.compile(r" at (http://\S+)")


class CollectorError(HushtallyError):
    """The collector process did not start."""


@contextmanager
def collector_process(survey: Path, database: Path, port: int = 0) -> Iterator[str]:
    """Run a collector of the survey in its own process; yields its URL.

    port: 0 uses any free port. The process ends with the block. Raises CollectorError, with the messages of the
    collector, if it does not start.
    """
    process = subprocess.Popen(
        [*process_words(), "serve", str(survey), "--port", str(port), "--database", str(database)],
        env=process_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="backslashreplace",
        start_new_session=True,  # Ctrl-C interrupts this process only, which then stops the collector cleanly
    )
    try:
        assert process.stderr is not None
        yield _url(process)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stderr:
            process.stderr.close()


def _url(process: subprocess.Popen[str]) -> str:
    """The URL that the collector prints when it is ready."""
    assert process.stderr is not None
    timer = threading.Timer(START_SECONDS, process.kill)
    timer.start()
    lines = []
    try:
        for line in process.stderr:
            lines.append(line.strip())
            if found := _READY.search(line):
                # read all further output, because a full pipe would block the collector
                threading.Thread(target=process.stderr.read, daemon=True).start()
                return found[1]
    finally:
        timer.cancel()
    message = " ".join(lines).removeprefix("Error: ") or "it printed nothing"
    raise CollectorError(f"the collector did not start: {message}")
