"""ProblemLog: logs a problem once when it appears, and again when it is resolved."""

from __future__ import annotations

import logging
from collections.abc import Collection

_log = logging.getLogger("hushtally.collector")


class ProblemLog:
    """The problems of one kind in the last attempt."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def update(self, problems: Collection[str]) -> None:
        """Log the new problems and the resolved problems.

        problems: the problems of the newest attempt; empty if the attempt succeeded.
        """
        found = set(problems)
        for problem in sorted(found - self._known):
            _log.error("%s (logged once)", problem)
        for problem in sorted(self._known - found):
            _log.warning("resolved: %s", problem)
        self._known = found
