"""The environment in which every test runs, whatever the machine's own says."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

# one process per core: more threads in numpy's linear algebra would only wait for each other
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

SWITCHES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy", "HUSHTALLY_DISABLED", "DO_NOT_TRACK")


@pytest.fixture(autouse=True, scope="session")
def _clean_environment() -> Iterator[None]:
    """No proxy, nobody who declined to take part, and no lines of progress; also for the processes that tests start."""
    with pytest.MonkeyPatch.context() as patch:
        for name in SWITCHES:
            patch.delenv(name, raising=False)
            patch.delenv(name.upper(), raising=False)
        patch.setenv("HUSHTALLY_NO_PROGRESS", "1")  # a slow machine would print more lines than a fast one
        yield


@pytest.fixture(autouse=True, scope="session")
def _interruptible() -> Iterator[None]:
    """A job in the background of a shell ignores an interrupt, and so would what it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
