"""ProblemLog: logs a problem once when it appears, and once more when it is resolved."""

from __future__ import annotations

import logging
from collections.abc import Collection

_log = logging.getLogger("hushtally.collector")


class ProblemLog:
    """The problems of one kind that the last attempt had."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def update(self, problems: Collection[str]) -> None:
        """Logs the problems that are new and the problems that are resolved.

        problems: those of the newest attempt; empty if the attempt succeeded.
        """
        found = set(problems)
        for problem in sorted(found - self._known):
            _log.error("%s (logged once)", problem)
        for problem in sorted(self._known - found):
            _log.warning("resolved: %s", problem)
        self._known = found
