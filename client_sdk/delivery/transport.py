"""The interface between the SDK and the network: one request, one response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from hushtally.client_sdk.errors import SafeMessage

MAX_RESPONSE_BYTES = 65_536  # of a response to a batch; the rest is not read
MAX_SURVEY_BYTES = 4_194_304  # of a survey's definition; the rest is not read


@dataclass(frozen=True)
class Response:
    """An HTTP response: the status, the beginning of the body, and the seconds of its Retry-After header."""

    status: int
    body: bytes
    retry_after: float | None = None


class NoResponse(SafeMessage, ConnectionError):
    """There was no response. The message states the reason."""


class RequestCancelled(NoResponse):
    """The request was cancelled by `HttpTransport.cancel`."""


class Transport(Protocol):
    """Sends one request and returns the response."""

    def request(
        self, method: str, url: str, body: bytes | None, timeout: float, max_bytes: int = MAX_RESPONSE_BYTES
    ) -> Response:
        """Send `body` as JSON to `url`, and read at most `max_bytes` of the response's body.

        Raises OSError if there is no response within `timeout` seconds.
        """
        ...
