"""Two lives that differ in everything they did look the same from outside: when they talk, how often, and how much.

Both draw the same schedule, moments and pauses; only the symbols come from a source of their own, as only they may hang
on what was done. One life does nothing at all, the other is as busy as can be.
"""

import random
import re

import pytest

from hushtally.client_sdk.delivery.transport import Response
from hushtally.client_sdk.mechanisms import Direct, Permanent
from hushtally.client_sdk.testing import ScriptedClock, SeededRandomness, accepted

STEPS = 14  # of eight hours or so


class Line:
    """A network that notes when and how much was sent, and fails now and then, for both lives alike."""

    def __init__(self, clock, seed):
        self.seen = []
        self._clock = clock
        self._source = random.Random(seed)

    def request(self, method, url, body, timeout, *_):
        text, symbols = re.subn(rb'"symbol":\d+', b'"symbol":', body)
        self.seen.append((self._clock(), url, len(text), symbols))
        luck = self._source.random()
        if luck < 0.1:
            raise TimeoutError
        return Response(503, b"") if luck < 0.2 else accepted(body)


def act(client, source):
    """What a busy customer does in one step, with much that goes wrong."""
    for _ in range(source.choice([0, 1, 5, 70])):
        client.record("purchase", amount=source.lognormvariate(3, 2), category=f"c{source.randrange(6)}")
    client.record("unheard", of=1)
    client.record("purchase", colour="red", amount=float("nan"))
    if source.random() < 0.2:
        client.explain()
        client.status()


def life(lab, survey, seed, busy):
    line = Line(lab.clock, seed)
    steps = random.Random(seed)
    doings = random.Random(-seed)
    lab.clock.now = ScriptedClock("2026-11-02").now
    client = lab.client(survey, state=":memory:", seed=seed, transport=line)
    for _ in range(STEPS):
        if busy:
            act(client, doings)
        client.tick()
        lab.clock.advance(seconds=steps.randrange(50_000))
    client.close()
    lab.clients.clear()
    assert lab.faults == []
    return line.seen


@pytest.fixture(params=["fresh", "permanent"])
def survey(lab, request, monkeypatch):
    """Two of three questions, every second day, by direct response: its symbols all have one digit."""
    own = SeededRandomness(1)
    for kind, method in ((Direct, "perturb"), (Permanent, "draw"), (Permanent, "repeat")):
        inner = getattr(kind, method)

        def apart(self, value, randomness, *rest, inner=inner):
            return inner(self, value, own, *rest)

        monkeypatch.setattr(kind, method, apart)
    return lab.survey(memory=request.param, questions=3, each=2, every=2, changes=1)


def compare(lab, survey, lives):
    talked = 0
    for seed in range(1, lives + 1):
        quiet, busy = life(lab, survey, seed, busy=False), life(lab, survey, seed, busy=True)
        assert quiet == busy, seed
        talked += len(quiet)
    assert talked > lives  # else there was nothing to compare


@pytest.mark.parametrize(
    "lives", [150, pytest.param(1_000, marks=pytest.mark.slow), pytest.param(5_000, marks=pytest.mark.long)]
)
def test_lives_look_alike(lab, survey, lives):
    compare(lab, survey, lives)
