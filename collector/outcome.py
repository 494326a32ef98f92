"""Outcome: which reports of a batch were counted and which were rejected, as the response and as stored bytes."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from hushtally.client_sdk.canonical_json import canonical_json
from hushtally.client_sdk.protocol.report import Reason

_ACCEPTED = 0
# the stored code of each reason; a code is never given to another reason, because databases contain it
_CODES = {
    Reason.UNKNOWN_QUESTION: 1,
    Reason.COHORT_MISMATCH: 2,
    Reason.SYMBOL_OUT_OF_RANGE: 3,
    Reason.MALFORMED_EPOCH: 4,
    Reason.EPOCH_OUTSIDE_SURVEY: 5,
    Reason.EPOCH_CLOSED: 6,
    Reason.EPOCH_NOT_OPEN: 7,
}
_REASONS = {code: reason for reason, code in _CODES.items()}


@dataclass(frozen=True)
class Outcome:
    """What a collector answered to a batch.

    reports: the number of reports in the batch; rejected: the index and the reason of each rejected report, ascending
    by index.
    """

    reports: int
    rejected: tuple[tuple[int, Reason], ...]

    @property
    def accepted(self) -> int:
        """The number of accepted reports."""
        return self.reports - len(self.rejected)

    @property
    def response(self) -> str:
        """The body of the response in canonical JSON."""
        rejected = [
            {"index": index, "reason": str(reason), "retryable": reason.retryable} for index, reason in self.rejected
        ]
        return canonical_json({"accepted": self.accepted, "rejected": rejected})

    def pack(self) -> bytes:
        """Return the outcome as bytes: one code per report, compressed, because a sender chooses what is rejected."""
        codes = bytearray(self.reports)
        for index, reason in self.rejected:
            codes[index] = _CODES[reason]
        return zlib.compress(codes, 9)

    @classmethod
    def unpack(cls, packed: bytes) -> Outcome:
        """Return the outcome that `pack` returned the bytes of."""
        codes = zlib.decompress(packed)
        rejected = tuple((index, _REASONS[code]) for index, code in enumerate(codes) if code != _ACCEPTED)
        return cls(len(codes), rejected)
