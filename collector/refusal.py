"""Refusals: a request that is turned down as a whole, as RFC 9457 (problem details) states it."""

from __future__ import annotations

from hushtally.client_sdk.errors import HushtallyError
from hushtally.client_sdk.protocol.refused import Refused


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
