"""Pooling: by reports over epochs, and by customers over groups."""

from __future__ import annotations

import numpy as np
import pytest

from hushtally.aggregator.errors import EstimateError
from hushtally.aggregator.estimate import estimate
from hushtally.aggregator.statistics.pooling import pool_epochs, pool_groups
from hushtally.aggregator.tally import Tally
from hushtally.client_sdk.mechanisms import Direct, Weights, build
from hushtally.client_sdk.survey import Survey
from hushtally.simulations.sampling import draw_tally

W = Weights.of(1.0)


@pytest.mark.parametrize("memory", ["fresh", "permanent"])
def test_merged_reports_do_not_estimate_the_share_among_customers(memory: str) -> None:
    """Rejected: the merged share. Groups send 85, 13 and 2% of the reports, but have 40, 35 and 25% of the customers.
    200 surveys of 20,000 reports at epsilon 4: the weighted interval contains the true share .93 to .97 (the mean of
    600 intervals, fixed seed), the merged one nearly never."""
    mechanism = build("auto", {}, 3, 4.0, 6.0 if memory == "permanent" else None)
    random = np.random.default_rng(4)
    truths = np.array([[0.5, 0.3, 0.2], [0.3, 0.5, 0.2], [0.2, 0.2, 0.6]])
    customers = np.array([0.4, 0.35, 0.25])
    weighted, merged = [], []
    for _ in range(200):
        tallies = [
            draw_tally(mechanism, random.multinomial(size, truth), random)
            for size, truth in zip((17_000, 2_600, 400), truths, strict=True)
        ]
        low, high = pool_groups(mechanism, tallies, customers.tolist()).confidence_interval()
        weighted.append((low <= customers @ truths) & (customers @ truths <= high))
        together = estimate(mechanism, Tally.merge(tallies))
        merged.append((together.low <= customers @ truths) & (customers @ truths <= together.high))
    assert 0.93 <= np.mean(weighted) <= 0.97
    assert np.mean(merged) < 0.1


def test_equal_groups_have_the_interval_of_their_mean() -> None:
    """The distances of the ends shrink by the root of the number of groups."""
    tally = Tally.of({0: 500, 1: 300, 2: 200})
    single = estimate(Direct(3, W), tally)
    low, high = pool_groups(Direct(3, W), [tally] * 4, [7, 7, 7, 7]).confidence_interval()
    assert low == pytest.approx(single.estimate - (single.estimate - single.low) / 2)
    assert high == pytest.approx(single.estimate + (single.high - single.estimate) / 2)


def test_epochs_are_weighted_by_reports(survey: Survey) -> None:
    """The mean is the share of all reports together. Weeks of one panel have a wider interval."""
    question = survey.question("frequency")
    weeks = {f"2026-W{45 + week}": Tally.of(range(3), np.array([5, 4, 3]) * (100 + week)) for week in range(8)}
    pooled = pool_epochs(question, survey, weeks)
    assert pooled.estimate == pytest.approx(estimate(question, Tally.merge(weeks.values())).estimate)
    apart = pool_epochs(question, survey, dict(list(weeks.items())[:4]))
    assert (apart.parts.recurs, pooled.parts.recurs) == (False, True)
    assert (pooled.standard_error > apart.standard_error / 2**0.5).all()


@pytest.mark.parametrize(
    ("customers", "message"),
    [
        ([1.0], "every group needs its customers, got 2 groups and 1 numbers"),
        ([1.0, 0.0], "customers must be positive numbers, got [1.0, 0.0]"),
        ([1.0, float("inf")], "customers must be positive numbers, got [1.0, inf]"),
    ],
)
def test_every_group_has_a_positive_number_of_customers(customers: list[float], message: str) -> None:
    with pytest.raises(EstimateError) as error:
        pool_groups(Direct(3, W), [Tally.of([0]), Tally.of([1])], customers)
    assert str(error.value) == message
