"""The kinds of refusal: why a collector turns down a whole batch."""

from __future__ import annotations

from enum import Enum

_TYPE_PREFIX = "urn:hushtally:"


class Refused(Enum):
    """Every kind of refusal, with its HTTP status and its title (RFC 9457, problem details)."""

    MALFORMED = (400, "The body is not a batch of reports")
    TOO_LARGE = (413, "The batch is too large")
    UNSUPPORTED_CONTENT = (415, "A batch must be sent as application/json")
    UNKNOWN_SURVEY = (422, "The survey is not collected here")
    UNAVAILABLE = (503, "The batch was not counted; send it again later")

    @classmethod
    def of_type(cls, uri: object) -> Refused | None:
        """The kind that a URI identifies, or None if it is not one of ours."""
        return next((kind for kind in cls if kind.type == uri), None)

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.value[0]

    @property
    def title(self) -> str:
        """The description for people."""
        return self.value[1]

    @property
    def code(self) -> str:
        """The short name in counters and metrics, such as `unknown_survey`."""
        return self.name.lower()

    @property
    def type(self) -> str:
        """The URI that identifies the kind to programs, such as `urn:hushtally:unknown_survey`."""
        return f"{_TYPE_PREFIX}{self.code}"

    @property
    def retryable(self) -> bool:
        """Whether the same batch may be accepted later: the collector may learn of the survey, or have time."""
        return self in (Refused.UNKNOWN_SURVEY, Refused.UNAVAILABLE)
