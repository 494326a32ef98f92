"""Confidence intervals of shares: exact in small counts, never too short, and raw (not cut to 0..1)."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, ndtri

from aggregator.tally import Integers
from client_sdk.channel import Channel

Floats = NDArray[np.float64]
Population = Literal["customers", "respondents"]

# Where a normal approximation would cover too little: enumerated over 4,860 cells (n >= 200) it never covers below .94.
FEW = 30  # supporting or other reports
SKEWED = 0.25  # skewness z^3 / 6 of the reports that support a value: how far its tails at z are off


class Interval(NamedTuple):
    """The two ends, float arrays of the same shape."""

    low: Floats
    high: Floats


def share_interval(
    channel: Channel, supporting: Integers, n: int, confidence: float, population: Population = "customers"
) -> Interval:
    """Two-sided interval of each share from how many of n reports support it.

    supporting: int array of any shape; n >= 1; 0 < confidence < 1. "customers": of the larger population that the
    respondents were sampled from; Wilson 1927, mapped through the channel. "respondents": of just those who answered;
    score interval. With few reports on one side, or far in the tail of a skewed count: Clopper & Pearson 1934, mapped.
    """
    z = float(ndtri((1 + confidence) / 2))
    if population == "customers":
        low, high = (channel.share(end) for end in wilson(supporting, n, z))
    else:
        low, high = respondents(channel, supporting, n, z)
    few = _hardly_normal(channel, supporting, n, z)
    if few.any():
        exact = clopper_pearson(supporting[few], n, confidence)
        low[few], high[few] = (channel.share(end) for end in exact)
    return Interval(low, high)


def _hardly_normal(channel: Channel, supporting: Integers, n: int, z: float) -> NDArray[np.bool_]:
    # The rate that came is an estimate of the true one, which is never outside the channel's own range.
    rate = np.clip(supporting / n, float(channel.q), float(channel.p))
    skewness = (1 - 2 * rate) / np.sqrt(n * rate * (1 - rate))
    few = n * np.minimum(rate, 1 - rate) < FEW
    return np.asarray(few | (np.abs(skewness) * z**3 / 6 > SKEWED))


def wilson(supporting: Integers, n: int, z: float) -> Interval:
    """Wilson's score interval of a binomial rate; z: the normal quantile."""
    middle = supporting + z**2 / 2
    half = z * np.sqrt(supporting * (1 - supporting / n) + z**2 / 4)
    return Interval((middle - half) / (n + z**2), (middle + half) / (n + z**2))


def clopper_pearson(supporting: Integers, n: int, confidence: float) -> Interval:
    """The exact interval of a binomial rate: covers at least `confidence`, whatever the rate."""
    tail = (1 - confidence) / 2
    low, high = np.zeros(supporting.shape), np.ones(supporting.shape)
    some, others = supporting > 0, supporting < n
    low[some] = betaincinv(supporting[some], n - supporting[some] + 1, tail)
    high[others] = betaincinv(supporting[others] + 1, n - supporting[others], 1 - tail)
    return Interval(low, high)


def respondents(channel: Channel, supporting: Integers, n: int, z: float) -> Interval:
    """Score interval of the share among just the n who answered: |estimate - f| <= z sd(f), solved for f."""
    at_zero = channel.respondents_variance(0, n)
    slope = channel.respondents_variance(1, n) - at_zero
    estimate = channel.debias(supporting, n)
    middle = estimate + z**2 * slope / 2
    half = np.sqrt(middle**2 - estimate**2 + z**2 * at_zero)
    return Interval(middle - half, middle + half)


def normal_interval(shares: Floats, standard_error: Floats, confidence: float) -> Interval:
    """Two-sided interval of shares whose estimates are normal; float arrays of the same shape."""
    half = float(ndtri((1 + confidence) / 2)) * standard_error
    return Interval(shares - half, shares + half)


def simultaneous(confidence: float, segments: int) -> float:
    """The confidence of each of so many intervals that makes all of them hold together. Sidak 1967.

    The shares of two segments are one comparison: either tells the other.
    """
    return confidence ** (1 / segments) if segments > 2 else confidence
