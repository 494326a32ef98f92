"""Means and quantiles from ranges: valid wherever the numbers lie within them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy.special import ndtr

from hushtally.aggregator.errors import EstimateError, NotEstimableError
from hushtally.aggregator.statistics.linear import linear
from hushtally.aggregator.statistics.number import Mean, Quantile, Ranges, mean, quantile
from hushtally.aggregator.tally import Tally
from hushtally.client_sdk.mechanisms import Direct, Rappor, Weights, build
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.questions import Scale
from hushtally.simulations.sampling import draw_tally
from survey_builder import SPENDING
from survey_builder import survey_text as build_survey

EDGES = np.array([0.0, 20, 50, 100, 200, 400, 1_000])
RANGES = Ranges(list(range(6)), EDGES[:-1], EDGES[1:])
SPENT = np.random.default_rng(5).lognormal(3.6, 1.2, 200_000).clip(0, 1_000)
TRUTH = np.histogram(SPENT, EDGES)[0] / SPENT.size


@pytest.mark.parametrize("memory", ["fresh", "permanent"])
@pytest.mark.parametrize("epsilon", [1.0, 4.0])
def test_the_mean_is_in_its_interval_and_not_near_the_midpoints(epsilon: float, memory: str) -> None:
    """Rejected: the mean of the midpoints ± 1.96 standard errors. 120 surveys of 20,000 customers: the interval
    contains the true mean in at least .94; the midpoints do in less than .9 at epsilon 1, and .5 at epsilon 4."""
    mechanism = build("auto", {}, 6, epsilon, 2 * epsilon if memory == "permanent" else None)
    random, true = np.random.default_rng(1), SPENT.mean()
    inside, midpoint = [], []
    for _ in range(120):
        tally = draw_tally(mechanism, random.multinomial(20_000, TRUTH), random)
        low, high = mean(mechanism, tally, RANGES).confidence_interval()
        inside.append(low <= true <= high)
        low, high = linear(mechanism, tally, (EDGES[:-1] + EDGES[1:]) / 2).confidence_interval()
        midpoint.append(low <= true <= high)
    assert np.mean(inside) >= 0.94
    assert np.mean(midpoint) < (0.9 if epsilon == 1 else 0.5)


@pytest.mark.parametrize("memory", ["fresh", "permanent"])
@pytest.mark.parametrize("at", [0.5, 0.9])
def test_a_quantile_is_in_its_interval(at: float, memory: str) -> None:
    """150 surveys of 5,000 customers at epsilon 1: in at least .95 (expected: .98 or more; fixed seed)."""
    mechanism = build("auto", {}, 6, 1.0, 2.0 if memory == "permanent" else None)
    random, true = np.random.default_rng(2), np.quantile(SPENT, at)
    inside = []
    for _ in range(150):
        tally = draw_tally(mechanism, random.multinomial(5_000, TRUTH), random)
        low, high = quantile(mechanism, tally, RANGES, at).confidence_interval()
        inside.append(low <= true <= high)
    assert np.mean(inside) >= 0.95


def test_one_test_on_each_side_can_be_wrong_so_the_run_must_be_unbroken() -> None:
    """Rejected: the last range whose test says "above", also behind ranges whose tests do not. The estimated shares up
    to an edge are not monotone, so such a range may follow by chance."""
    broken = Quantile(0.5, EDGES, np.array([-0.4, -0.1, -0.4, 0.2, 0.4]), np.full(5, 0.1))
    assert tuple(broken.confidence_interval()) == (20, 200)
    steps = Quantile(0.5, EDGES, np.array([-0.4, -0.3, 0.1, 0.3, 0.4]), np.full(5, 0.1))
    assert tuple(steps.confidence_interval()) == (50, 200)
    assert tuple(steps.confidence_interval(0.6)) == (50, 100)
    known = Quantile(0.5, EDGES, np.array([-0.5, -0.4, -0.3, -0.3, -0.3]), np.full(5, 0.01))
    assert tuple(known.confidence_interval()) == (400, 1_000)
    contradiction = Quantile(0.5, EDGES, np.array([0.3, -0.3, -0.3, -0.3, -0.3]), np.full(5, 0.01))
    assert tuple(contradiction.confidence_interval()) == (0, 1_000)


def test_the_critical_value_covers_the_mean_and_not_both_bounds() -> None:
    """For distant bounds one tail counts; for equal bounds two. Stoye's equation at the solution."""
    for distance, expected in ((0.0, 1.95996), (0.5, 1.7697), (50.0, 1.64485)):
        found = Mean(np.array([10.0, 10.0 + distance, 1.0]), np.diag([1.0, 1.0, 0.0]))
        low, high = found.confidence_interval()
        z = 10 - float(low)
        assert float(high) - 10 - distance == pytest.approx(z)
        assert z == pytest.approx(expected, abs=5e-3)
        assert ndtr(z + distance) - ndtr(-z) == pytest.approx(0.95)


def test_customers_without_a_number_are_left_out_or_have_a_stated_one() -> None:
    mechanism = Direct(4, Weights.of(3.0))
    tally = draw_tally(mechanism, np.array([30_000, 20_000, 10_000, 40_000]), np.random.default_rng(1))
    form = Survey.parse(build_survey([SPENDING | {"edges": [0, 20, 50]}])).questions[0].form
    assert isinstance(form, Scale)
    for otherwise, low, high in ((None, (20 * 20 + 10 * 50) / 60, (30 * 20 + 20 * 50 + 10 * 100) / 60), (0, 9, 26)):
        found = mean(mechanism, tally, Ranges.of(form, 100, otherwise))
        assert found.bounds == pytest.approx((low, high), rel=0.05)
        median = quantile(mechanism, tally, Ranges.of(form, 100, otherwise)).confidence_interval()
        assert tuple(median) == ((0, 50) if otherwise is None else (0, 20))


def test_respondents_and_rappor_have_means_and_quantiles() -> None:
    rappor = Rappor(4, 16, 2, 8, Fraction(1, 8), Fraction(1, 8), Fraction(7, 8))
    ranges = Ranges([0, 1, 2], np.array([0, 20, 50]), np.array([20, 50, 100]))
    tally = draw_tally(rappor, np.array([900, 500, 400, 300]), np.random.default_rng(1))
    widths = []
    for population in ("customers", "respondents"):
        low, high = mean(rappor, tally, ranges, population).confidence_interval()  # type: ignore[arg-type]
        widths.append(high - low)
        assert quantile(rappor, tally, ranges, 0.5, population).confidence_interval().low < 50  # type: ignore[arg-type]
    assert widths[1] < widths[0]


def test_what_cannot_be_estimated_is_refused() -> None:
    mechanism = Direct(4, Weights.of(1.0))
    nobody = draw_tally(mechanism, np.array([10, 10, 10, 2_000]), np.random.default_rng(1))
    ranges = Ranges([0, 1, 2], np.array([0, 20, 50]), np.array([20, 50, 100]))
    for function in (mean, quantile):
        with pytest.raises(NotEstimableError, match="too few customers with a number: their share is below 4"):
            function(mechanism, nobody, ranges)
    with pytest.raises(NotEstimableError, match="too few customers with a number to bound a mean"):
        Mean(np.array([1.0, 2.0, 0.1]), np.eye(3)).confidence_interval()
    form = Survey.parse(build_survey([SPENDING])).questions[0].form
    assert isinstance(form, Scale)
    for cap, otherwise, message in (
        (100.0, None, "cap must be above the last edge 100, got 100"),
        (float("inf"), None, "cap must be above the last edge 100, got inf"),
        (200.0, 1.0, "otherwise must be at most the first edge 0, got 1"),
    ):
        with pytest.raises(EstimateError, match=message):
            Ranges.of(form, cap, otherwise)
    for at in (0.0, 1.0):
        with pytest.raises(EstimateError, match=f"a quantile must be between 0 and 1, got {at:g}"):
            quantile(mechanism, Tally.of([0]), ranges, at)
