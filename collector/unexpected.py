"""Unexpected errors of the server, logged without their messages, because a message might quote a request."""

from __future__ import annotations

import logging
import traceback
from time import monotonic
from types import TracebackType

INTERVAL = 60.0  # seconds, at least, between two lines

_log = logging.getLogger("hushtally.collector")


class Unexpected(logging.Handler):
    """Logs the type and the place of an error, at most once a minute. Also a handler that replaces other log lines."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._next = 0.0

    def log(self, kind: type[BaseException] | None, place: TracebackType | None) -> None:
        """Log one error."""
        if monotonic() >= self._next:
            self._next = monotonic() + INTERVAL
            lines = "".join(traceback.format_tb(place)).rstrip()
            _log.error("unexpected %s\n%s", kind.__name__ if kind else "error", lines)

    def emit(self, record: logging.LogRecord) -> None:
        """Log the error of another logger's line instead of the line."""
        kind, _, place = record.exc_info or (None, None, None)
        self.log(kind, place)
