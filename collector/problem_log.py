"""ProblemLog: what goes wrong for long is logged once, and once more when it is over."""

from __future__ import annotations

import logging
from collections.abc import Collection

_log = logging.getLogger("hushtally.collector")


class ProblemLog:
    """The problems of one kind that there were when it was last tried."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def update(self, problems: Collection[str]) -> None:
        """Logs those that are new, and those that are no more; none: it went well."""
        found = set(problems)
        for problem in sorted(found - self._known):
            _log.error("%s; told once", problem)
        for problem in sorted(self._known - found):
            _log.warning("no longer: %s", problem)
        self._known = found
