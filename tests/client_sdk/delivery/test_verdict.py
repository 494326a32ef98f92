"""What an answer means for its batch: only a collector's own words end it, and what is kept of them is bounded."""

from __future__ import annotations

import json

from hushtally.client_sdk.delivery.transport import Answer
from hushtally.client_sdk.delivery.verdict import KINDS, judge
from hushtally.client_sdk.protocol.refused import Refused
from hushtally.client_sdk.protocol.report import Batch, Reason, Report

BATCH = Batch("0" * 32, "habits", 1, "d" * 64, (Report("q", "2026-W45", {}, 0), Report("q", "2026-W46", {}, 1)))


def lost(status: int, told: object) -> set[str]:
    """The names of the counters that an answer adds to."""
    verdict = judge(Answer(status, json.dumps(told).encode()), BATCH)
    return set() if verdict is None else set(verdict.lost)


def test_a_collector_cannot_make_up_names_of_counters() -> None:
    """A thousand reasons and kinds of its own, and every status, come to the closed lists and "other"."""
    names: set[str] = set()
    for number in range(1_000):
        rejected = [{"index": 0, "reason": f"made up {number}", "retryable": False}]
        names |= lost(200, {"accepted": 1, "rejected": rejected})
        names |= lost(number, {"type": f"urn:made:up:{number}"})
    assert names == {"rejected: other"}
    for reason in Reason:
        names |= lost(200, {"accepted": 1, "rejected": [{"index": 0, "reason": reason, "retryable": False}]})
    for kind in KINDS:
        names |= lost(400, {"type": f"urn:hushtally:{kind}"})
    assert len(names) == 1 + len(Reason) + len(KINDS)


def test_every_refusal_of_the_collector_ends_a_batch_but_those_that_may_pass() -> None:
    """One that was not told of the survey yet, or has no time, may take it later; all others never will."""
    ends = {kind for kind in Refused if lost(kind.status, {"type": kind.type}) == {f"refused: {kind.name.lower()}"}}
    assert ends == set(Refused) - {Refused.UNKNOWN_SURVEY, Refused.UNAVAILABLE}
    for kind in ends:
        for status in (200, 302, 500, 503):
            assert judge(Answer(status, json.dumps({"type": kind.type}).encode()), BATCH) is None
