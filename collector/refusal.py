"""Refusals: a request that is turned down as a whole, as RFC 9457 (problem details) states it."""

from __future__ import annotations

from enum import Enum

from client_sdk.errors import HushtallyError


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


class Refusal(HushtallyError):
    """A request was turned down as a whole; nothing of it was counted."""

    def __init__(self, kind: Refused, detail: str, *, retry_after: int | None = None) -> None:
        """retry_after: seconds after which the same request may succeed, None if it never will."""
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.retry_after = retry_after

    @property
    def problem(self) -> dict[str, object]:
        """The body of the answer."""
        return {
            "type": self.kind.type,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
        }
