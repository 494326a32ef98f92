"""Refusal: the refusal of a whole request, with problem details as in RFC 9457."""

from __future__ import annotations

from hushtally.client_sdk.errors import HushtallyError
from hushtally.client_sdk.protocol.refused import Refused


class Refusal(HushtallyError):
    """A request is refused as a whole; none of its reports is counted."""

    def __init__(self, kind: Refused, detail: str, *, retry_after: int | None = None) -> None:
        """retry_after: seconds after which the same request may succeed; None if it can never succeed."""
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.retry_after = retry_after

    @property
    def problem(self) -> dict[str, object]:
        """The body of the response."""
        return {
            "type": self.kind.type,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
        }
