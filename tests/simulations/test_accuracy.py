"""The expected accuracy agrees with the reference table and with the intervals that estimates use."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import binom

from hushtally.aggregator.errors import ArgumentError
from hushtally.aggregator.intervals import share_interval
from hushtally.client_sdk.mechanisms import choose
from hushtally.client_sdk.mechanisms.channel import Channel
from hushtally.simulations.accuracy import (
    detectable_share,
    half_width,
    half_widths,
    plain_equivalent,
    power,
    reports_for_half_width,
)

# reports that distinguish a share of 16 segments from zero with power .8: (epsilon, share) -> reports
TABLE = {
    (0.5, 0.1): 8_480, (0.5, 0.05): 33_840, (0.5, 0.01): 844_337,
    (1.0, 0.1): 1_967, (1.0, 0.05): 7_783, (1.0, 0.01): 192_781,
    (2.0, 0.1): 358, (2.0, 0.05): 1_363, (2.0, 0.01): 32_540,
    (4.0, 0.1): 33, (4.0, 0.05): 100, (4.0, 0.01): 1_720,
}  # fmt: skip


def channel(epsilon: float, domain: int = 16) -> Channel:
    return choose(domain, epsilon).channel


def exact_power(of: Channel, share: float, n: int, confidence: float) -> float:
    """The probability that the interval lies above zero, summed over every possible support count."""
    counts = np.arange(n + 1)
    detected = share_interval(of, counts, n, confidence).low > 0
    return float(binom.pmf(counts, n, of.observed(share))[detected].sum())


@pytest.mark.parametrize(("epsilon", "share"), TABLE)
def test_the_reference_table_is_reproduced(epsilon: float, share: float) -> None:
    """The normal formula gives the reports within 1%, and the exact detectable share agrees within 3%.

    The formula is wrong at 100 reports or fewer: there, the exact share is .144 for 10% and .067 for 5%.
    """
    of, reports = channel(epsilon), TABLE[epsilon, share]
    rate = of.observed(share)
    wanted = float(ndtri(0.95)) * (of.q * (1 - of.q)) ** 0.5 + float(ndtri(0.8)) * (rate * (1 - rate)) ** 0.5
    assert np.ceil((wanted / (of.gain * share)) ** 2) == pytest.approx(reports, rel=0.01)
    exact = detectable_share(of, reports)
    if reports > 100:
        assert exact == pytest.approx(share, rel=0.03)
    else:
        assert exact == pytest.approx({0.1: 0.144, 0.05: 0.0674}[share], rel=0.01)


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.9968])
@pytest.mark.parametrize(("epsilon", "n"), [(0.5, 40), (1.0, 700), (2.0, 358), (4.0, 33), (4.0, 1_720), (6.0, 300)])
def test_the_power_is_exact(epsilon: float, n: int, confidence: float) -> None:
    of = channel(epsilon)
    for share in (0.0, 0.01, 0.1, 0.5):
        assert power(of, share, n, confidence) == pytest.approx(exact_power(of, share, n, confidence), abs=1e-9)


def test_wider_intervals_have_less_power() -> None:
    """If the one-sided interval has power .8, the two-sided one has .70, and one of 16 simultaneous ones has .33."""
    of, n = channel(1.0), 7_783
    assert power(of, 0.05, n) == pytest.approx(0.8, abs=0.01)
    assert power(of, 0.05, n, 0.95) == pytest.approx(0.70, abs=0.01)
    assert power(of, 0.05, n, 0.95 ** (1 / 16)) == pytest.approx(0.33, abs=0.01)


@pytest.mark.parametrize(("epsilon", "n"), [(1.0, 700), (2.0, 50_000), (4.0, 60)])
def test_the_detectable_share_is_the_smallest_with_this_power(epsilon: float, n: int) -> None:
    of = channel(epsilon)
    share = detectable_share(of, n)
    assert share is not None
    assert power(of, share, n) >= 0.8 > power(of, share - 1e-6, n)


def test_few_reports_detect_no_share() -> None:
    assert detectable_share(channel(0.25), 5) is None


@pytest.mark.parametrize(
    ("epsilon", "share", "target"),
    [(1.0, 0.2, 0.1), (1.0, 0.2, 0.01), (1.0, 0.2, 0.001), (4.0, 0.01, 0.2), (8.0, 0.01, 0.05), (8.0, 0.0, 0.05)],
)
def test_the_reports_for_a_target_are_the_fewest(epsilon: float, share: float, target: float) -> None:
    """No smaller number of reports meets the target, also when the numbers are small."""
    of = channel(epsilon)
    n = reports_for_half_width(of, share, target)
    assert half_width(of, share, n) <= target
    assert all(half_width(of, share, fewer) > target for fewer in range(max(1, n - 300), n))


def test_the_half_width_is_close_to_the_mean_half_width() -> None:
    """Over every possible count: the mean is at most 1% larger and 5% smaller."""
    for epsilon in (1.0, 4.0, 8.0):
        of = channel(epsilon)
        for n in (15, 36, 54, 500, 5000):
            counts = np.arange(n + 1)
            low, high = share_interval(of, counts, n, 0.95)
            for share in (0.0, 0.01, 0.1, 0.5):
                mean = binom.pmf(counts, n, of.observed(share)) @ (high - low) / 2
                planned = half_widths(of, np.array([share]), n)[0]
                assert 0.95 < mean / planned < 1.01


def test_the_plain_equivalent_is_equally_precise() -> None:
    of = channel(1.0)
    m = plain_equivalent(of, 0.2, 10_000)
    assert 0.2 * 0.8 / m == pytest.approx(float(of.variance(0.2, 10_000)))


def test_a_target_must_be_positive() -> None:
    with pytest.raises(ArgumentError, match="target must be above 0, got -1"):
        reports_for_half_width(channel(1.0), 0.1, -1)
