"""The outcome of a batch: the response that every retry gets again, from a few stored bytes."""

from __future__ import annotations

import json
import random

import pytest

from hushtally.client_sdk.protocol.report import MAX_REPORTS, Reason
from hushtally.collector.outcome import Outcome


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_survives_storage(reason: Reason) -> None:
    outcome = Outcome(3, ((1, reason),))
    assert Outcome.unpack(outcome.pack()) == outcome


def test_a_stored_outcome_gives_the_same_response() -> None:
    outcome = Outcome(4, ((0, Reason.EPOCH_CLOSED), (3, Reason.EPOCH_NOT_OPEN)))
    assert Outcome.unpack(outcome.pack()).response == outcome.response
    assert json.loads(outcome.response) == {
        "accepted": 2,
        "rejected": [
            {"index": 0, "reason": "epoch_closed", "retryable": False},
            {"index": 3, "reason": "epoch_not_open", "retryable": True},
        ],
    }


def test_a_sender_cannot_make_the_collector_store_much() -> None:
    """The worst batch, 1,000 reports with random reasons, takes less than half a byte per report; others far less."""
    source = random.Random(7)
    reasons = list(Reason)
    worst = Outcome(MAX_REPORTS, tuple((index, source.choice(reasons)) for index in range(1, MAX_REPORTS)))
    same = Outcome(MAX_REPORTS, tuple((index, Reason.EPOCH_CLOSED) for index in range(1, MAX_REPORTS)))
    assert len(worst.pack()) < MAX_REPORTS / 2
    assert len(same.pack()) < 30
