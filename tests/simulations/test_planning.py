"""The planning figures are those of the reference table, and of the intervals that ship."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from aggregator.intervals import share_interval
from client_sdk.channel import Channel
from client_sdk.mechanisms import choose
from simulations.errors import SimulationError
from simulations.planning import (
    detectable_share,
    formula_reports,
    half_width,
    plain_equivalent,
    power,
    reports_for_half_width,
    reports_to_detect,
)

# Reports that tell a share from zero with power .8, 16 segments: (epsilon, share) -> reports
TABLE = {
    (0.5, 0.1): 8_480, (0.5, 0.05): 33_840, (0.5, 0.01): 844_337,
    (1.0, 0.1): 1_967, (1.0, 0.05): 7_783, (1.0, 0.01): 192_781,
    (2.0, 0.1): 358, (2.0, 0.05): 1_363, (2.0, 0.01): 32_540,
    (4.0, 0.1): 33, (4.0, 0.05): 100, (4.0, 0.01): 1_720,
}  # fmt: skip


def channel(epsilon: float, domain: int = 16) -> Channel:
    return choose(domain, epsilon).channel


def exact_power(of: Channel, share: float, n: int, confidence: float) -> float:
    """The chance that the interval lies above zero, summed over every count that could come."""
    counts = np.arange(n + 1)
    told = share_interval(of, counts, n, confidence).low > 0
    return float(binom.pmf(counts, n, of.observed(share))[told].sum())


@pytest.mark.parametrize(("epsilon", "share"), TABLE)
def test_the_planning_table_is_reproduced(epsilon: float, share: float) -> None:
    """Within 1% by the formula; from 500 reports on it is what the search gives."""
    expected = TABLE[epsilon, share]
    assert formula_reports(channel(epsilon), share) == pytest.approx(expected, rel=0.01)
    if expected >= 500:
        assert reports_to_detect(channel(epsilon), share) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(("epsilon", "share"), [(2.0, 0.1), (4.0, 0.1), (4.0, 0.05)])
def test_below_500_the_search_is_exact(epsilon: float, share: float) -> None:
    """So many reports have the power, one less has not; the power is summed without the code under test."""
    of = channel(epsilon)
    n = reports_to_detect(of, share)
    assert exact_power(of, share, n, 0.9) >= 0.8 > exact_power(of, share, n - 1, 0.9)


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.9968])
@pytest.mark.parametrize(("epsilon", "n"), [(0.5, 40), (1.0, 700), (2.0, 358), (4.0, 33), (4.0, 1_720), (6.0, 300)])
def test_power_is_exact(epsilon: float, n: int, confidence: float) -> None:
    of = channel(epsilon)
    for share in (0.0, 0.01, 0.1, 0.5):
        assert power(of, share, n, confidence) == pytest.approx(exact_power(of, share, n, confidence), abs=1e-9)


def test_the_displayed_intervals_have_the_power_of_the_reference() -> None:
    """Where the one-sided interval has power .8, the two-sided one has .70, one of 16 together .33."""
    of, n = channel(1.0), 7_783
    assert power(of, 0.05, n) == pytest.approx(0.8, abs=0.01)
    assert power(of, 0.05, n, 0.95) == pytest.approx(0.70, abs=0.01)
    assert power(of, 0.05, n, 0.95 ** (1 / 16)) == pytest.approx(0.33, abs=0.01)


@pytest.mark.parametrize(("epsilon", "n"), [(1.0, 700), (2.0, 50_000), (4.0, 60)])
def test_the_detectable_share_is_the_smallest(epsilon: float, n: int) -> None:
    of = channel(epsilon)
    share = detectable_share(of, n)
    assert share is not None
    assert power(of, share, n) >= 0.8 > power(of, share - 1e-6, n)


def test_some_reports_tell_nothing() -> None:
    assert detectable_share(channel(0.25), 5) is None


@pytest.mark.parametrize("target", [0.1, 0.01, 0.001])
def test_reports_for_a_target_are_the_fewest(target: float) -> None:
    of = channel(1.0)
    n = reports_for_half_width(of, 0.2, target)
    assert half_width(of, 0.2, n) <= target < half_width(of, 0.2, n - max(n // 1000, 1))


def test_the_plain_equivalent_is_as_precise() -> None:
    of = channel(1.0)
    m = plain_equivalent(of, 0.2, 10_000)
    assert 0.2 * 0.8 / m == pytest.approx(float(of.variance(0.2, 10_000)))


def test_bad_arguments() -> None:
    with pytest.raises(SimulationError, match="target must be above 0, got -1"):
        reports_for_half_width(channel(1.0), 0.1, -1)
    with pytest.raises(SimulationError, match="share must be above 0 and at most 1, got 0"):
        reports_to_detect(channel(1.0), 0)
