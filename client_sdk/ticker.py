"""The background thread that ticks for apps that do not schedule themselves."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from client_sdk.randomness import Randomness

SHORTEST_SECONDS, LONGEST_SECONDS = 30, 90


class Ticker:
    """Calls `tick` every 30 to 90 seconds from a daemon thread that begins with the first use of each process.

    A thread does not outlive a fork: `wake` begins a new one in a child, and none once the interpreter shuts down.
    """

    def __init__(self, tick: Callable[[], None], randomness: Randomness) -> None:
        self._tick = tick
        self._randomness = randomness
        self._pid: int | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Begins the thread if this process has none."""
        if self._pid == os.getpid() or (self._stop.is_set() and self._pid is not None):
            return
        self._pid = os.getpid()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(self._stop,), name="hushtally", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # the interpreter is shutting down
            self._thread = None

    def stop(self, seconds: float) -> None:
        """Ends the thread, waiting for it at most `seconds`."""
        self._stop.set()
        if self._thread is not None and self._pid == os.getpid() and self._thread is not threading.current_thread():
            self._thread.join(seconds)

    def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self._tick()
            stop.wait(SHORTEST_SECONDS + self._randomness.below(LONGEST_SECONDS - SHORTEST_SECONDS))
