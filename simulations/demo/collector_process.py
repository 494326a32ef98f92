"""A real collector process on loopback, for the time of a block."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hushtally.client_sdk.errors import HushtallyError

START_SECONDS = 120.0
STOP_SECONDS = 60.0
_READY = re.compile(r" at (http://\S+)")


class CollectorError(HushtallyError):
    """The collector process did not come up."""


@contextmanager
def collector(survey: Path, database: Path, port: int = 0) -> Iterator[str]:
    """The URL of a collector of `survey` that runs as a process of its own and is gone when the block ends.

    port: 0 takes any that is free. Raises CollectorError with the collector's own words if it does not start.
    """
    command = [sys.executable, "-m", "hushtally", "serve", str(survey)]
    process = subprocess.Popen(
        [*command, "--port", str(port), "--database", str(database)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C comes to this process alone, which then ends the collector in order
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
    assert process.stderr is not None
    timer = threading.Timer(START_SECONDS, process.kill)
    timer.start()
    said = []
    try:
        for line in process.stderr:
            said.append(line.strip())
            if found := _READY.search(line):
                # from here on its words are read away, so that a full pipe never stops it
                threading.Thread(target=process.stderr.read, daemon=True).start()
                return found[1]
    finally:
        timer.cancel()
    raise CollectorError(f"the collector did not start: {' '.join(said).removeprefix('Error: ') or 'it said nothing'}")
