"""What an answer means for its batch: whatever a collector says, what a device keeps of it is bounded."""

from __future__ import annotations

import json

from client_sdk.report import Batch, Reason, Report
from client_sdk.transport import Answer
from client_sdk.verdict import KINDS, judge

BATCH = Batch("0" * 32, "habits", 1, "d" * 64, (Report("q", "2026-W45", {}, 0), Report("q", "2026-W46", {}, 1)))


def lost(status: int, told: object) -> set[str]:
    """The names of the counters that an answer adds to."""
    verdict = judge(Answer(status, json.dumps(told).encode()), BATCH)
    return set() if verdict is None else set(verdict.lost)


def test_a_collector_cannot_make_up_names_of_counters() -> None:
    """A thousand reasons and kinds of its own, and every status, come to the closed lists, the statuses and "other"."""
    names: set[str] = set()
    for number in range(1_000):
        rejected = [{"index": 0, "reason": f"made up {number}", "retryable": False}]
        names |= lost(200, {"accepted": 1, "rejected": rejected})
        names |= lost(number, {"type": f"urn:made:up:{number}"})
    assert names == {"rejected: other"} | {
        f"refused: {status}" for status in range(400, 500) if status not in (408, 425, 429)
    }
    for reason in Reason:
        names |= lost(200, {"accepted": 1, "rejected": [{"index": 0, "reason": reason, "retryable": False}]})
    for kind in KINDS:
        names |= lost(422, {"type": f"urn:hushtally:{kind}"})
    assert len(names) == 1 + 97 + len(Reason) + len(KINDS)
