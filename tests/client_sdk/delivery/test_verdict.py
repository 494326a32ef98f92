"""The verdict on a batch: only a collector's response ends it, and the names of counters are a closed list."""

from __future__ import annotations

import json

from hushtally.client_sdk.delivery.transport import Response
from hushtally.client_sdk.delivery.verdict import judge
from hushtally.client_sdk.protocol.refused import Refused
from hushtally.client_sdk.protocol.report import Batch, Reason, Report

BATCH = Batch("0" * 32, "habits", 1, "d" * 64, (Report("q", "2026-W45", {}, 0), Report("q", "2026-W46", {}, 1)))


def lost(status: int, body: object) -> set[str]:
    """The names of the counters that a response increases."""
    verdict = judge(Response(status, json.dumps(body).encode()), BATCH)
    return set() if verdict is None else set(verdict.lost)


def test_a_collector_cannot_invent_names_of_counters() -> None:
    """A thousand invented reasons and kinds, with every status, become "other"."""
    names: set[str] = set()
    for number in range(1_000):
        rejected = [{"index": 0, "reason": f"invented {number}", "retryable": False}]
        names |= lost(200, {"accepted": 1, "rejected": rejected})
        names |= lost(number, {"type": f"urn:invented:{number}"})
    assert names == {"rejected: other"}
    for reason in Reason:
        names |= lost(200, {"accepted": 1, "rejected": [{"index": 0, "reason": reason, "retryable": False}]})
    for kind in Refused:
        names |= lost(400, {"type": kind.type})
    assert len(names) == 1 + len(Reason) + sum(not kind.retryable for kind in Refused)


def test_a_refusal_ends_a_batch_unless_it_is_retryable() -> None:
    """A collector may learn of the survey later, or be less busy. All other refusals are final."""
    ends = {kind for kind in Refused if lost(kind.status, {"type": kind.type}) == {f"refused: {kind.code}"}}
    assert ends == set(Refused) - {Refused.UNKNOWN_SURVEY, Refused.UNAVAILABLE}
    for kind in ends:
        for status in (200, 302, 500, 503):
            assert judge(Response(status, json.dumps({"type": kind.type}).encode()), BATCH) is None
