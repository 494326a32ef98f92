"""The kinds of refusal that a collector sends."""

from __future__ import annotations

from enum import Enum


class Refused(Enum):
    """Every kind of refusal: its HTTP status and its title."""

    MALFORMED = (400, "The body is not a batch of reports")
    TOO_LARGE = (413, "The batch is too large")
    UNSUPPORTED_CONTENT = (415, "A batch is sent as application/json")
    UNKNOWN_SURVEY = (422, "The survey is not collected here")
    UNAVAILABLE = (503, "The batch was not counted; send it again later")

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.value[0]

    @property
    def title(self) -> str:
        """The kind in words."""
        return self.value[1]

    @property
    def type(self) -> str:
        """The URI that names the kind to programs, like urn:hushtally:unknown_survey."""
        return f"urn:hushtally:{self.name.lower()}"
