"""Permanent memory, and the figures that every mechanism states about itself."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from hushtally.client_sdk.errors import MechanismError
from hushtally.client_sdk.mechanisms import (
    Affine,
    BaselineMechanism,
    Direct,
    Optimized,
    Permanent,
    PermanentMechanism,
    Projective,
    Subset,
    Symmetric,
    Weights,
    build,
)
from hushtally.client_sdk.mechanisms.base import exponential

EPSILON_1 = Weights.of(1.0)
MECHANISMS: list[BaselineMechanism] = [
    Direct(3, EPSILON_1),
    Subset(16, EPSILON_1, 4),
    Affine(64, EPSILON_1, 67, 18),
    Projective(1024, EPSILON_1, 3, 7),
    Symmetric.of(16, 1.0),
    Optimized.of(16, 1.0),
]


@pytest.mark.parametrize("single_report", MECHANISMS)
def test_one_report_equals_a_report_without_memory(single_report: BaselineMechanism) -> None:
    """Memory costs no variance: the channel differs only because gamma is rounded down by less than 2^-64."""
    mechanism = Permanent.of(single_report, 2.5)
    assert 0 <= single_report.exact_channel.p - mechanism.exact_channel.p < Fraction(1, 2**64)
    assert abs(single_report.exact_channel.q - mechanism.exact_channel.q) < Fraction(1, 2**64)
    assert abs(mechanism.mean_variance() / single_report.mean_variance() - 1) < 1e-9
    assert single_report.epsilon - 1e-9 <= mechanism.epsilon <= single_report.epsilon
    assert 2.5 - 1e-9 < mechanism.epsilon_permanent <= 2.5
    assert (mechanism.symbols, mechanism.domain, mechanism.name) == (
        single_report.symbols,
        single_report.domain,
        single_report.name,
    )
    assert mechanism.parameters == single_report.parameters


@pytest.mark.parametrize("single_report", MECHANISMS[:4])
def test_gamma_is_the_formula(single_report: Any) -> None:
    """gamma = u / (a - e1 b + u) of the two-stage construction, rounded down to a multiple of 2^-64."""
    permanent = Weights.of(2.5)
    c, total = single_report.symbols_per_value, single_report.symbols
    b = 1 / (permanent.ratio * c + total - c)
    u = (EPSILON_1.ratio - 1) / total
    gamma = u / (permanent.ratio * b - EPSILON_1.ratio * b + u)
    assert Permanent.of(single_report, 2.5).gamma == Fraction(int(gamma * 2**64), 2**64)


def test_equal_epsilons_need_no_baseline_symbols() -> None:
    """With epsilon_permanent = epsilon every report is the permanent symbol: gamma is 1."""
    mechanism = Permanent.of(Direct(3, EPSILON_1), 1.0)
    assert mechanism.gamma == 1
    assert mechanism.ratio == mechanism.permanent_ratio == EPSILON_1.ratio


def test_a_smaller_permanent_epsilon_is_refused() -> None:
    with pytest.raises(MechanismError, match=r"epsilon_permanent must be at least epsilon = 0\.99.*, got 0\.4"):
        Permanent.of(Direct(3, EPSILON_1), 0.5)


def test_the_variance_with_permanent_memory_matches_the_reference() -> None:
    """n Var is 3.19 for 16 values, epsilon 1 and epsilon_permanent 2."""
    assert round(build("auto", {}, 16, 1.0, 2.0).mean_variance(), 2) == 3.19


def test_rappor_and_mechanisms_with_epsilon_permanent_have_permanent_memory() -> None:
    rappor = {"k": 8, "h": 1, "m": 4, "f": 0.5, "p": 0.25, "q": 0.75}
    assert isinstance(build("auto", {}, 4, 1.0, 2.0), PermanentMechanism)
    assert isinstance(build("rappor", rappor, 4, 1.1, 2.2), PermanentMechanism)
    assert not isinstance(build("auto", {}, 4, 1.0), PermanentMechanism)


@pytest.mark.parametrize("epsilon", [0.01, 0.1, 0.25, 1 / 3, 1.0, 2.0, 4.0, 7.3, 8.0])
def test_the_effective_epsilon_is_just_below_the_requested_one(epsilon: float) -> None:
    """Weights are rounded down: never above the requested epsilon, and less than 2.4e-10 below it."""
    weights = Weights.of(epsilon)
    assert weights.ratio <= Fraction(exponential(epsilon)) < weights.ratio + Fraction(1, 2**32)
    assert epsilon - 2.4e-10 < weights.epsilon <= epsilon


@pytest.mark.parametrize("epsilon", [0.0, 0.009, 8.001, float("nan"), float("inf"), -1.0])
def test_an_epsilon_out_of_range_is_refused(epsilon: float) -> None:
    with pytest.raises(MechanismError, match=r"epsilon must be between 0\.01 and 8, got"):
        Weights.of(epsilon)
