"""What a client refuses."""

from __future__ import annotations


class InvalidSurvey(Exception):
    """The survey is not one that a client may answer."""


def require(condition: bool) -> None:
    if not condition:
        raise InvalidSurvey
