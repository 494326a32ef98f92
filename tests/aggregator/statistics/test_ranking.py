"""Rankings: all statements about the pairs of a table hold at once, and the sets are as small as that allows."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import studentized_range

from hushtally.aggregator.errors import EstimateError
from hushtally.aggregator.estimate import estimate
from hushtally.aggregator.statistics.linear import linear
from hushtally.aggregator.statistics.ranking import largest_quantile, range_quantile, ranking
from hushtally.aggregator.statistics.share_table import ShareTable
from hushtally.aggregator.tally import Tally
from hushtally.client_sdk.mechanisms import Affine, Direct, Mechanism, Permanent, Rappor, Subset, Weights, build
from hushtally.simulations.sampling import draw_tally

W = Weights.of(1.0)


@pytest.mark.parametrize("count", [2, 3, 16, 100])
def test_the_quantile_of_all_pairs_is_that_of_tukeys_range(count: int) -> None:
    expected = float(studentized_range.ppf(0.95, count, np.inf)) / 2**0.5
    assert range_quantile(0.95, count) == pytest.approx(expected, abs=2e-4)


def test_the_quantile_of_the_largest_is_that_of_dunnett() -> None:
    """For two it is one-sided normal; for 17, by 400,000 draws: known to .005."""
    assert largest_quantile(0.95, 2) == pytest.approx(1.6449, abs=1e-3)
    draws = np.random.default_rng(1).normal(size=(400_000, 17))
    largest = (draws[:, 1:].max(axis=1) - draws[:, 0]) / 2**0.5
    assert largest_quantile(0.95, 17) == pytest.approx(np.quantile(largest, 0.95), abs=0.015)


@pytest.mark.parametrize("memory", ["fresh", "permanent"])
def test_all_differences_are_contained_at_once_and_the_largest_is_in_its_set(memory: str) -> None:
    """400 surveys of 5,000 reports of 16 equal segments at epsilon 1: between .92 and .98 of the surveys have all 120
    differences in their intervals, and the largest in its set (three standard deviations of .011; fixed seed)."""
    mechanism = build("auto", {}, 16, 1.0, 2.0 if memory == "permanent" else None)
    random = np.random.default_rng(3)
    together, largest, ranks = [], [], []
    for _ in range(400):
        found = ranking(mechanism, draw_tally(mechanism, random.multinomial(5_000, np.full(16, 1 / 16)), random))
        low, high = found.difference_interval()
        together.append(((low <= 0) & (high >= 0)).all())
        largest.append(found.may_be_largest()[0])
        ranks.append((found.confidence_interval().high == 16).all())
    assert 0.92 <= np.mean(together) <= 0.98
    assert 0.92 <= np.mean(largest) <= 0.98
    assert together == ranks


def test_intervals_that_do_not_touch_keep_more_candidates_than_necessary() -> None:
    """Rejected: segments whose simultaneous intervals touch that of the largest estimate. 60 surveys of 5,000 reports
    at epsilon 1 of 17 segments: the set is half as large, and it contains the largest segment just as surely."""
    mechanism, random = build("auto", {}, 17, 1.0, None), np.random.default_rng(5)
    truth = np.array(
        [0.2, 0.13, 0.11, 0.09, 0.08, 0.07, 0.06, 0.05, 0.05, 0.04, 0.03, 0.03, 0.02, 0.02, 0.01, 0.005, 0.005]
    )
    ours, touching, inside = [], [], []
    for _ in range(60):
        tally = draw_tally(mechanism, random.multinomial(5_000, truth), random)
        found, single = ranking(mechanism, tally).may_be_largest(), estimate(mechanism, tally)
        ours.append(found.sum())
        touching.append((single.simultaneous_high >= single.simultaneous_low.max()).sum())
        inside.append(found[0])
    assert np.mean(ours) < 0.6 * np.mean(touching)
    assert np.mean(inside) > 0.93


def test_differences_between_picked_segments_need_the_range() -> None:
    """Rejected: single intervals of the pairs that look most different. 200 surveys of 16 equal segments: the single
    interval of the largest and the smallest estimate misses in most surveys, the simultaneous one rarely."""
    mechanism, random = build("auto", {}, 16, 1.0, None), np.random.default_rng(6)
    single, together = [], []
    for _ in range(200):
        found = ranking(mechanism, draw_tally(mechanism, random.multinomial(5_000, np.full(16, 1 / 16)), random))
        pair = (found.shares.argmax(), found.shares.argmin())
        single.append(found.differences[pair] > 1.96 * found.errors[pair])
        together.append(found.difference_interval().low[pair] > 0)
    assert np.mean(single) > 0.8
    assert np.mean(together) < 0.1


@pytest.mark.parametrize("mechanism", [Direct(5, W), Subset(5, W, 2), Permanent.of(Affine(5, W, 7, 3), 2.0)], ids=str)
def test_the_error_of_a_difference_is_that_of_a_weighted_sum(mechanism: Mechanism) -> None:
    tally = draw_tally(mechanism, np.array([300, 200, 200, 200, 100]), np.random.default_rng(1))
    for population in ("customers", "respondents"):
        found = ranking(mechanism, tally, population)  # type: ignore[arg-type]
        for first in range(5):
            weights = np.eye(5)[first] - np.eye(5)
            expected = linear(mechanism, tally, weights, population).standard_error  # type: ignore[arg-type]
            assert found.errors[first] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("population", ["customers", "respondents"])
@pytest.mark.parametrize(
    "mechanism",
    [Direct(12, W), Subset(12, W, 4), build("affine", {}, 17, 1.0, None), build("projective", {}, 31, 1.0, None),
     build("affine", {}, 17, 1.0, 2.0)],
    ids=str,
)  # fmt: skip
def test_the_modelled_covariance_of_a_long_domain_is_that_of_many_reports(
    mechanism: Mechanism, population: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 300,000 reports, the errors of all differences agree within 3%; of a projective design, in which three values
    are not all alike, within 7%."""
    truth = 1 / np.arange(1, mechanism.domain + 1)
    held = (300_000 * truth / truth.sum()).astype(int)
    table = ShareTable.of(mechanism, draw_tally(mechanism, held, np.random.default_rng(2)), population)  # type: ignore[arg-type]
    exact = np.sqrt(table.difference_variances())
    monkeypatch.setattr("hushtally.aggregator.statistics.share_table.LARGEST_EXACT", 2)
    assert np.sqrt(table.difference_variances()) == pytest.approx(
        exact, rel=0.07 if mechanism.name == "projective" else 0.03
    )


def test_ranks_and_top_sets_follow_from_the_pairs() -> None:
    found = ranking(Direct(5, Weights.of(2.0)), Tally.of({0: 2_000, 1: 1_500, 2: 1_450, 3: 700, 4: 690}))
    assert found.estimate.tolist() == [1, 2, 3, 4, 5]
    assert [list(map(int, end)) for end in found.confidence_interval()] == [[1, 2, 2, 4, 4], [1, 3, 3, 5, 5]]
    assert [part.tolist() for part in found.top(2)] == [
        [True, False, False, False, False],
        [True, True, True, False, False],
    ]
    assert [part.tolist() for part in found.top(3)] == [[True] * 3 + [False] * 2] * 2
    assert all(part.all() for part in found.top(5))
    assert found.may_be_largest().tolist() == [True, False, False, False, False]
    assert found.may_be_largest(0.9999).tolist() == [True, False, False, False, False]
    for k in (0, 6):
        with pytest.raises(EstimateError, match=f"k must be from 1 to 5, got {k}"):
            found.top(k)


def test_rappor_and_two_segments_have_rankings() -> None:
    mechanism = Rappor(3, 8, 2, 4, Fraction(1, 2), Fraction(1, 2), Fraction(3, 4))
    found = ranking(mechanism, draw_tally(mechanism, np.array([900, 100, 100]), np.random.default_rng(3)))
    assert found.may_be_largest()[0]
    two = ranking(Direct(2, W), Tally.of({0: 900, 1: 700}))
    assert two.may_be_largest().tolist() == [True, False]
