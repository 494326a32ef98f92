"""Unexpected errors of the server. They are logged without their messages, because a message might quote a request."""

from __future__ import annotations

import logging
import traceback
from time import monotonic
from types import TracebackType

INTERVAL = 60.0  # the minimum number of seconds between two lines

_log = logging.getLogger("hushtally.collector")


class Unexpected(logging.Handler):
    """Logs the type and the traceback of an error, at most once a minute.

    As the handler of another logger, it logs the error of a line instead of the line itself.
    """

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
        """Log the error of a line from another logger instead of the line itself."""
        kind, _, place = record.exc_info or (None, None, None)
        self.log(kind, place)
