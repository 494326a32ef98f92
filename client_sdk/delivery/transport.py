"""The way to the collector: HTTPS with verified certificates; plain HTTP to this machine alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from hushtally.client_sdk.errors import SafeMessage

LARGEST_ANSWER = 65_536  # bytes read of an answer to a batch
LARGEST_SURVEY = 4_194_304  # bytes read of a survey's definition


@dataclass(frozen=True)
class Answer:
    """What the collector answered: the status, the beginning of the body, and the seconds it wants to be left alone."""

    status: int
    body: bytes
    retry_after: float | None = None


class NoAnswer(SafeMessage, ConnectionError):
    """There was no answer, for a reason that is named."""


class CutOff(NoAnswer):
    """The request was cut off by `HttpTransport.cut`."""


class Transport(Protocol):
    """Sends one request and returns the answer; OSError when there was none in time."""

    def request(self, method: str, url: str, body: bytes | None, timeout: float, most: int = LARGEST_ANSWER) -> Answer:
        """Sends `body` as JSON to `url`; within `timeout` seconds in all; reads at most `most` bytes."""
        ...
