"""Membership: the bounds hold for every symbol that a customer can send, by enumeration."""

from __future__ import annotations

import numpy as np
import pytest

from hushtally.aggregator.statistics.membership import membership
from hushtally.aggregator.tally import Tally
from hushtally.client_sdk.mechanisms import Affine, Direct, Permanent, Projective, Subset, Weights
from hushtally.client_sdk.mechanisms.design import Design

W = Weights.of(1.0)
DESIGNS: list[Design] = [Direct(5, W), Subset(6, W, 2), Affine(5, W, 7, 3), Projective(7, W, 3, 3)]


@pytest.mark.parametrize("design", DESIGNS, ids=str)
@pytest.mark.parametrize("permanent", [False, True])
def test_no_report_says_more_than_the_bounds(design: Design, permanent: bool) -> None:
    """The belief after each symbol, by Bayes' theorem with the likelihood of every value, for drawn shares. The counts
    are the expected ones of 10^10 reports, so the intervals of the shares are short."""
    mechanism = Permanent.of(design, 2.0) if permanent else design
    supported = [[design.supports(s, v) for s in range(design.symbols)] for v in range(design.domain)]
    likelihood = np.where(supported, design.weights.near, design.weights.far)
    likelihood = likelihood / likelihood.sum(axis=1, keepdims=True)
    prior = np.random.default_rng(3).dirichlet(np.ones(design.domain))
    found = membership(mechanism, Tally.of(range(design.symbols), (prior @ likelihood * 1e10).astype(int)))
    low, high = found.confidence_interval()
    assert found.estimate == pytest.approx(prior, abs=1e-6)
    posterior = prior[:, None] * likelihood / (prior @ likelihood)
    assert (low[:, None] - 1e-9 <= posterior).all()
    assert (posterior <= high[:, None] + 1e-9).all()


def test_the_bounds_are_those_of_bayes_for_the_ends_of_the_interval() -> None:
    """Of 25% exactly, and epsilon 1: at least 10.9%, and at most 47.5%."""
    tally = Tally.of(range(4), [10**11] * 4)
    found = membership(Direct(4, W), tally)
    low, high = found.confidence_interval()
    assert found.estimate == pytest.approx(np.full(4, 0.25))
    assert low == pytest.approx(np.full(4, 0.25 / (0.25 + 0.75 * np.e)), abs=1e-4)
    assert high == pytest.approx(np.full(4, 0.25 * np.e / (0.25 * np.e + 0.75)), abs=1e-4)
    assert low[0] == pytest.approx(0.109, abs=5e-4)
    assert high[0] == pytest.approx(0.475, abs=5e-4)


def test_beliefs_are_probabilities() -> None:
    """Also if a share is estimated below zero or above one."""
    low, high = membership(Direct(3, W), Tally.of({0: 950, 1: 50})).confidence_interval()
    for end in (low, high):
        assert ((end >= 0) & (end <= 1)).all()
    assert low[2] == 0
    assert high[0] == 1
