"""Two devices with different customers look the same from outside: when they send, how often, and how many bytes.

Both draw the same schedule, moments and pauses. The symbols come from a separate source, because only they may depend
on what the customer did. One customer does nothing at all; the other is very busy.
"""

import random
import re

import pytest

from hushtally.client_sdk.delivery.transport import Response
from hushtally.client_sdk.mechanisms import Direct, Permanent
from hushtally.client_sdk.testing import ScriptedClock, SeededRandomness, accepted

STEPS = 14  # of eight hours or so


class Network:
    """Records when and how much was sent. It fails now and then, at the same requests for both devices."""

    def __init__(self, clock, seed):
        self.sent = []
        self._clock = clock
        self._source = random.Random(seed)

    def request(self, method, url, body, timeout, *_):
        text, symbols = re.subn(rb'"symbol":\d+', b'"symbol":', body)
        self.sent.append((self._clock(), url, len(text), symbols))
        luck = self._source.random()
        if luck < 0.1:
            raise TimeoutError
        return Response(503, b"") if luck < 0.2 else accepted(body)


def act(client, source):
    """Do what a busy customer does in one step, including many mistakes of the app."""
    for _ in range(source.choice([0, 1, 5, 70])):
        client.record("purchase", amount=source.lognormvariate(3, 2), category=f"c{source.randrange(6)}")
    client.record("unheard", of=1)
    client.record("purchase", colour="red", amount=float("nan"))
    if source.random() < 0.2:
        client.explain()
        client.status()


def run(lab, survey, seed, busy):
    network = Network(lab.clock, seed)
    steps = random.Random(seed)
    customer = random.Random(-seed)
    lab.clock.now = ScriptedClock("2026-11-02").now
    client = lab.client(survey, state=":memory:", seed=seed, transport=network)
    for _ in range(STEPS):
        if busy:
            act(client, customer)
        client.tick()
        lab.clock.advance(seconds=steps.randrange(50_000))
    client.close()
    lab.clients.clear()
    assert lab.faults == []
    return network.sent


@pytest.fixture(params=["fresh", "permanent"])
def survey(lab, request, monkeypatch):
    """Two of three questions, every second day, by direct response: all its symbols have one digit."""
    own = SeededRandomness(1)
    for kind, method in ((Direct, "perturb"), (Permanent, "draw"), (Permanent, "repeat")):
        inner = getattr(kind, method)

        def from_own_source(self, value, randomness, *rest, inner=inner):
            return inner(self, value, own, *rest)

        monkeypatch.setattr(kind, method, from_own_source)
    return lab.survey(memory=request.param, questions=3, each=2, every=2, changes=1)


def compare(lab, survey, pairs):
    sent = 0
    for seed in range(1, pairs + 1):
        quiet, busy = run(lab, survey, seed, busy=False), run(lab, survey, seed, busy=True)
        assert quiet == busy, seed
        sent += len(quiet)
    assert sent > pairs  # otherwise the test compares nothing


@pytest.mark.slow
@pytest.mark.parametrize(
    "pairs", [150, pytest.param(1_000, marks=pytest.mark.slow), pytest.param(5_000, marks=pytest.mark.long)]
)
def test_both_devices_look_the_same(lab, survey, pairs):
    compare(lab, survey, pairs)
