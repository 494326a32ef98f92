"""Confidence sequences: they hold at all looks together, which single intervals do not."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy.special import betaln

from hushtally.aggregator.errors import NotEstimableError
from hushtally.aggregator.estimate import estimate
from hushtally.aggregator.statistics.sequence import confidence_sequence
from hushtally.aggregator.tally import Tally
from hushtally.client_sdk.mechanisms import Direct, Rappor, Weights, build
from hushtally.simulations.sampling import draw_tally

DAYS = 14


@pytest.mark.parametrize("memory", ["fresh", "permanent"])
def test_single_intervals_fail_on_some_day(memory: str) -> None:
    """Rejected: looking at the 95% interval on each of 14 days. 120 surveys of 140 reports a day: it misses the share
    on some day in more than 15 of 100 surveys, and the sequence in 5 at most, with an interval of about twice the
    length at the end."""
    mechanism = build("auto", {}, 4, 1.0, 2.0 if memory == "permanent" else None)
    random, truth = np.random.default_rng(3), np.array([0.4, 0.3, 0.2, 0.1])
    wrong = {"single": 0, "sequence": 0}
    ratios = []
    for _ in range(120):
        tally, ever = Tally.of({}), {"single": False, "sequence": False}
        for _ in range(DAYS):
            tally = tally + draw_tally(mechanism, random.multinomial(140, truth), random)
            single, sequence = estimate(mechanism, tally), confidence_sequence(mechanism, tally).confidence_interval()
            ever["single"] |= not single.low[0] <= truth[0] <= single.high[0]
            ever["sequence"] |= not sequence.low[0] <= truth[0] <= sequence.high[0]
        ratios.append((sequence.high - sequence.low)[0] / (single.high - single.low)[0])
        for kind in wrong:
            wrong[kind] += ever[kind]
    assert wrong["single"] / 120 > 0.15
    assert wrong["sequence"] / 120 <= 0.05
    assert 1.7 < np.mean(ratios) < 2.0


def test_the_ends_solve_the_equation_of_the_mixture() -> None:
    """Also if no report, or every report, supports a value."""
    mechanism = Direct(3, Weights.of(1.0))
    found = confidence_sequence(mechanism, Tally.of({0: 900, 1: 100}))
    for level in (0.8, 0.95):
        low, high = found.confidence_interval(level)
        for value, count in ((0, 900), (1, 100), (2, 0)):
            for end in (low[value], high[value]):
                rate = mechanism.channel.observed(end)
                if 1e-9 < rate < 1 - 1e-9:
                    likelihood = count * np.log(rate) + (1000 - count) * np.log1p(-rate)
                    mixture = betaln(1 + count, 1001 - count) + np.log(1 - level)
                    assert likelihood == pytest.approx(mixture, abs=1e-5)
        assert mechanism.channel.observed(low[2]) == pytest.approx(0, abs=1e-9)
        assert (low <= found.estimate).all()
        assert (found.estimate <= high).all()


def test_rappor_has_no_sequence() -> None:
    mechanism = Rappor(3, 8, 2, 4, Fraction(1, 2), Fraction(1, 2), Fraction(3, 4))
    with pytest.raises(NotEstimableError, match="rappor has no intervals that hold at every look"):
        confidence_sequence(mechanism, Tally.of([0, 1, 2]))
