"""The background thread that ticks for apps that do not schedule themselves."""

from __future__ import annotations

import threading
from collections.abc import Callable

from hushtally.client_sdk.forking import Forking
from hushtally.client_sdk.randomness import Randomness

SHORTEST_SECONDS, LONGEST_SECONDS = 30, 90


class Ticker(Forking):
    """Calls `tick` every 30 to 90 seconds from a daemon thread that begins with the first use of each process.

    A thread does not outlive a fork, and amid one, while locks are put right, none must begin: a child has none before
    its first `wake`. Once the interpreter shuts down none begins any more.
    """

    def __init__(self, tick: Callable[[], None], randomness: Randomness) -> None:
        self._tick = tick
        self._randomness = randomness
        self._lock = threading.Lock()
        self._stop: threading.Event | None = None
        self._thread: threading.Thread | None = None
        self._over = False
        super().__init__()

    def wake(self) -> None:
        """Begins the thread if this process has none."""
        if self._thread is not None or self._over:
            return
        with self._lock:
            if self._thread is not None or self._over:
                return
            stop = threading.Event()
            thread = threading.Thread(target=self._run, args=(stop,), name="hushtally", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the interpreter is shutting down, or has no thread left
                return
            self._stop, self._thread = stop, thread

    def stop(self, seconds: float) -> None:
        """Ends the thread for good, waiting for it at most `seconds`."""
        with self._lock:
            self._over = True
            stop, thread = self._stop, self._thread
        if stop is not None and thread is not None:
            stop.set()
            if thread is not threading.current_thread():
                thread.join(seconds)

    def after_fork(self) -> None:
        self._lock = threading.Lock()
        self._stop = self._thread = None

    def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self._tick()
            stop.wait(SHORTEST_SECONDS + self._randomness.below(LONGEST_SECONDS - SHORTEST_SECONDS))
