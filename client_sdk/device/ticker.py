"""The background thread that calls `tick` for apps that do not schedule it themselves."""

from __future__ import annotations

import threading
from collections.abc import Callable

from hushtally.client_sdk.forking import Forking
from hushtally.client_sdk.randomness import Randomness

MIN_SECONDS, MAX_SECONDS = 30, 90
FIRST_SECONDS = 1.0  # so that an app can fork after it has started its client, while the thread does nothing


class Ticker(Forking):
    """Calls `tick` every 30 to 90 seconds from a daemon thread, first after one second.

    A thread does not survive a fork. Therefore each process starts its own thread, with the first `ensure_running`
    after the fork. No thread is started once the interpreter shuts down.
    """

    def __init__(self, tick: Callable[[], None], randomness: Randomness) -> None:
        self._tick = tick
        self._randomness = randomness
        self._lock = threading.Lock()
        self._stop: threading.Event | None = None
        self._thread: threading.Thread | None = None
        self._stopped = False
        super().__init__()

    def ensure_running(self) -> None:
        """Start the thread if this process has none and `stop` was not called."""
        if self._thread is not None or self._stopped:
            return
        with self._lock:
            if self._thread is not None or self._stopped:
                return
            stop = threading.Event()
            thread = threading.Thread(target=self._run, args=(stop,), name="hushtally", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the interpreter is shutting down, or the system has no thread left
                return
            self._stop, self._thread = stop, thread

    def stop(self, seconds: float) -> None:
        """Stop the thread for good, and wait for it at most `seconds`."""
        with self._lock:
            self._stopped = True
            stop, thread = self._stop, self._thread
        if stop is not None and thread is not None:
            stop.set()
            if thread is not threading.current_thread():
                thread.join(seconds)

    def after_fork(self) -> None:
        self._lock = threading.Lock()
        self._stop = self._thread = None

    def _run(self, stop: threading.Event) -> None:
        seconds = FIRST_SECONDS
        while not stop.wait(seconds):
            self._tick()
            seconds = MIN_SECONDS + self._randomness.below(MAX_SECONDS - MIN_SECONDS)
