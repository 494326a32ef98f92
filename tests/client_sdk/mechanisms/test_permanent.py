"""Permanent memory and the numbers every mechanism states about itself."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from hushtally.client_sdk.errors import MechanismError
from hushtally.client_sdk.mechanisms import (
    Affine,
    Direct,
    Optimized,
    Permanent,
    PermanentMechanism,
    Projective,
    Subset,
    Symmetric,
    Tilted,
    Weights,
    build,
)
from hushtally.client_sdk.mechanisms.base import exponential

ONE = Weights.of(1.0)
ONCE: list[Tilted] = [
    Direct(3, ONE),
    Subset(16, ONE, 4),
    Affine(64, ONE, 67, 18),
    Projective(1024, ONE, 3, 7),
    Symmetric.of(16, 1.0),
    Optimized.of(16, 1.0),
]


@pytest.mark.parametrize("once", ONCE)
def test_one_report_is_the_mechanism_tuned_for_epsilon(once: Tilted) -> None:
    """Memory costs no variance: the channel is that of `once`, but for gamma's rounding down by less than 2^-64."""
    mechanism = Permanent.of(once, 2.5)
    assert 0 <= once.exact_channel.p - mechanism.exact_channel.p < Fraction(1, 2**64)
    assert abs(once.exact_channel.q - mechanism.exact_channel.q) < Fraction(1, 2**64)
    assert abs(mechanism.mean_variance() / once.mean_variance() - 1) < 1e-9
    assert once.epsilon - 1e-9 <= mechanism.epsilon <= once.epsilon
    assert 2.5 - 1e-9 < mechanism.epsilon_permanent <= 2.5
    assert (mechanism.symbols, mechanism.domain, mechanism.name) == (once.symbols, once.domain, once.name)
    assert mechanism.parameters == once.parameters


@pytest.mark.parametrize("once", ONCE[:4])
def test_gamma_is_the_formula(once: Any) -> None:
    """gamma = u / (a - e1 b + u) of the two-stage construction, rounded down over 2^64."""
    lasting = Weights.of(2.5)
    c, total = once.symbols_per_value, once.symbols
    b = 1 / (lasting.ratio * c + total - c)
    u = (ONE.ratio - 1) / total
    gamma = u / (lasting.ratio * b - ONE.ratio * b + u)
    assert Permanent.of(once, 2.5).gamma == Fraction(int(gamma * 2**64), 2**64)


def test_equal_epsilons_leave_nothing_to_dilute() -> None:
    """With epsilon_permanent = epsilon every report is the permanent symbol: gamma is 1."""
    mechanism = Permanent.of(Direct(3, ONE), 1.0)
    assert mechanism.gamma == 1
    assert mechanism.ratio == mechanism.permanent_ratio == ONE.ratio


def test_a_smaller_permanent_epsilon_is_refused() -> None:
    with pytest.raises(MechanismError, match=r"epsilon_permanent must be at least the epsilon of one report, 0\.99"):
        Permanent.of(Direct(3, ONE), 0.5)


def test_permanent_variance_reference() -> None:
    """n Var at k = 16, epsilon_permanent 2, epsilon 1 is 3.19."""
    assert round(build("auto", {}, 16, 1.0, 2.0).mean_variance(), 2) == 3.19


def test_who_has_permanent_memory() -> None:
    rappor = {"k": 8, "h": 1, "m": 4, "f": 0.5, "p": 0.25, "q": 0.75}
    assert isinstance(build("auto", {}, 4, 1.0, 2.0), PermanentMechanism)
    assert isinstance(build("rappor", rappor, 4, 1.1, 2.2), PermanentMechanism)
    assert not isinstance(build("auto", {}, 4, 1.0), PermanentMechanism)


@pytest.mark.parametrize("epsilon", [0.01, 0.1, 0.25, 1 / 3, 1.0, 2.0, 4.0, 7.3, 8.0])
def test_epsilon_in_force(epsilon: float) -> None:
    """Weights are rounded down: never above the epsilon asked for, and less than 2.4e-10 below it."""
    weights = Weights.of(epsilon)
    assert weights.ratio <= Fraction(exponential(epsilon)) < weights.ratio + Fraction(1, 2**32)
    assert epsilon - 2.4e-10 < weights.epsilon <= epsilon


@pytest.mark.parametrize("epsilon", [0.0, 0.009, 8.001, float("nan"), float("inf"), -1.0])
def test_epsilon_out_of_range(epsilon: float) -> None:
    with pytest.raises(MechanismError, match=r"epsilon must be at least 0\.01 and at most 8, got"):
        Weights.of(epsilon)
