"""The expected accuracy for a number of reports, calculated with the same intervals that estimates use."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.special import bdtrc, ndtri

from hushtally.aggregator.errors import ArgumentError
from hushtally.aggregator.intervals import Floats, one_sided, share_interval
from hushtally.client_sdk.mechanisms.channel import Channel

CONFIDENCE, POWER = 0.95, 0.8
ONE_SIDED = one_sided(CONFIDENCE)
SHARE_PRECISION = 1e-7  # of `detectable_share`


def half_widths(channel: Channel, shares: Floats, n: int, confidence: float = CONFIDENCE) -> Floats:
    """Return half the length of the two-sided interval of each share, for the expected support count.

    shares: float array in [0, 1]; n >= 1 reports. Returns an array of the same shape. The intervals are not clipped to
    [0, 1]. The mean half-width of real intervals is at most 1% larger and at most 8% smaller (4% from 60 reports).
    """
    low, high = share_interval(channel, n * channel.observed(shares), n, confidence)
    return (high - low) / 2


def half_width(channel: Channel, share: float, n: int, confidence: float = CONFIDENCE) -> float:
    """Return half the length of the interval of one share; see `half_widths`."""
    return float(half_widths(channel, np.array([share]), n, confidence)[0])


def reports_for_half_width(channel: Channel, share: float, target: float, confidence: float = CONFIDENCE) -> int:
    """Return the smallest number of reports with a half-width of at most `target`. ArgumentError unless target > 0."""
    if target <= 0:
        raise ArgumentError("target", f"must be above 0, got {target:g}")
    z = float(ndtri((1 + confidence) / 2))
    low, high = 1, math.ceil(float(channel.variance(share, 1)) * (z / target) ** 2) + 1
    while half_width(channel, share, high, confidence) > target:
        low, high = high, 2 * high
    return _smallest(low, high, lambda n: half_width(channel, share, n, confidence) <= target)


def detection_count(channel: Channel, n: int, confidence: float) -> int:
    """Return the smallest support count of n reports whose interval lies above zero; n + 1 if there is none."""
    return _smallest(
        math.floor(n * channel.q),
        n + 1,
        lambda count: bool(share_interval(channel, np.array([count]), n, confidence).low[0] > 0),
    )


def _smallest(low: int, high: int, accepts: Callable[[int], bool]) -> int:
    """Return the smallest number in (low, high] that `accepts` accepts, by bisection; `high` is not tested."""
    while low + 1 < high:
        middle = (low + high) // 2
        if accepts(middle):
            high = middle
        else:
            low = middle
    return high


def power(channel: Channel, share: float, n: int, confidence: float = ONE_SIDED) -> float:
    """Return the exact probability that the interval of `share`, from n reports, lies above zero.

    confidence: of the two-sided interval. By default, its lower end is the lower end of a one-sided 95% interval.
    """
    count = detection_count(channel, n, confidence)
    return 0.0 if count > n else float(bdtrc(count - 1, n, float(channel.observed(share))))


def detectable_share(channel: Channel, n: int, min_power: float = POWER, confidence: float = ONE_SIDED) -> float | None:
    """Return the smallest share that n reports distinguish from zero with at least `min_power`; None if there is none.

    The result is exact to 1e-7, because the power increases with the share.
    """
    count = detection_count(channel, n, confidence)
    if count > n or bdtrc(count - 1, n, float(channel.p)) < min_power:
        return None
    low, high = 0.0, 1.0
    while high - low > SHARE_PRECISION:
        middle = (low + high) / 2
        if bdtrc(count - 1, n, float(channel.observed(middle))) < min_power:
            low = middle
        else:
            high = middle
    return high


def plain_equivalent(channel: Channel, share: float, n: int) -> float:
    """Return the number of answers without randomization that estimate a share as precisely as n reports."""
    return float(share * (1 - share) / channel.variance(share, n))
