"""Confidence intervals of shares: exact in small counts, never too short, and raw (not cut to 0..1)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, betaincinv, gammaln, ndtri

from hushtally.aggregator.tally import Integers
from hushtally.client_sdk.mechanisms import Mechanism
from hushtally.client_sdk.mechanisms.channel import Channel

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]
Population = Literal["customers", "respondents"]

# Where a normal approximation would cover too little: see `share_interval` for what the enumeration found.
SMALL = 200  # reports in all
FEW = 30  # supporting or other reports; of just the respondents the variance that the noise gives the count
SKEWED = 0.25  # skewness z^3 / 6 of a count: how far its tails at z are off
REACH = 8  # standard deviations around the mean of a count, and so many counts more for its skewness


class Interval(NamedTuple):
    """The two ends, float arrays of the same shape."""

    low: Floats
    high: Floats


def share_interval(
    channel: Channel, supporting: Integers | Floats, n: int, confidence: float, population: Population = "customers"
) -> Interval:
    """Two-sided interval of each share from how many of n reports support it.

    supporting: int array of any shape, or floats where counts are only expected; n >= 1; 0 <= confidence < 1.
    "customers": of the larger population that the respondents were sampled from; Wilson 1927, mapped through the
    channel. "respondents": of just those who answered; score interval. With few reports, or few on one side, or few
    that the noise turned, or far in the tail of a skewed count, the exact interval: for customers of Clopper & Pearson
    1934.

    Enumerated, either holds the truth at least .938 of the time at a confidence of .95 (less than .94 in 1 of 1,600
    random cases), and .985 at .99; lower confidences feel that counts are whole: from 200 reports on .88 at .9, .77 at
    .8, .44 at .5.
    """
    z = float(ndtri((1 + confidence) / 2))
    p, q = float(channel.p), float(channel.q)
    if population == "customers":
        low, high = (channel.share(end) for end in wilson(supporting, n, z))
        # The rate that came is an estimate of the true one, which is never outside the channel's own range.
        rate = np.clip(supporting / n, q, p)
        few = n * np.minimum(rate, 1 - rate) < FEW
        hard = (n < SMALL) | few | _skewed(n * rate * (1 - rate), 1 - 2 * rate, z)
        exact = clopper_pearson(supporting[hard], n, confidence)
        low[hard], high[hard] = (channel.share(end) for end in exact)
    else:
        low, high = respondents(channel, supporting, n, z)
        share = np.clip(channel.debias(supporting, n), 0, 1)
        with_it, without = n * share * p * (1 - p), n * (1 - share) * q * (1 - q)
        variance = with_it + without
        third = (with_it * (1 - 2 * p) + without * (1 - 2 * q)) / variance
        hard = (n < SMALL) | (variance < FEW) | _skewed(variance, third, z)
        low[hard], high[hard] = inverted(channel, supporting[hard], n, confidence, Interval(low[hard], high[hard]))
    return Interval(low, high)


def _skewed(variance: Floats, third: Floats, z: float) -> Booleans:
    """third: the third central moment of the count, in variances."""
    return np.asarray(np.abs(third) / np.sqrt(variance) * z**3 / 6 > SKEWED)


def wilson(supporting: Integers | Floats, n: int, z: float) -> Interval:
    """Wilson's score interval of a binomial rate; z: the normal quantile."""
    middle = supporting + z**2 / 2
    half = z * np.sqrt(supporting * (1 - supporting / n) + z**2 / 4)
    return Interval((middle - half) / (n + z**2), (middle + half) / (n + z**2))


def clopper_pearson(supporting: Integers | Floats, n: int, confidence: float) -> Interval:
    """The exact interval of a binomial rate: covers at least `confidence`, whatever the rate."""
    tail = (1 - confidence) / 2
    low, high = np.zeros(supporting.shape), np.ones(supporting.shape)
    some, others = supporting > 0, supporting < n
    low[some] = betaincinv(supporting[some], n - supporting[some] + 1, tail)
    high[others] = betaincinv(supporting[others] + 1, n - supporting[others], 1 - tail)
    return Interval(low, high)


def respondents(channel: Channel, supporting: Integers | Floats, n: int, z: float) -> Interval:
    """Score interval of the share among just the n who answered: |estimate - f| <= z sd(f), solved for f."""
    at_zero = channel.respondents_variance(0, n)
    slope = channel.respondents_variance(1, n) - at_zero
    estimate = channel.debias(supporting, n)
    middle = estimate + z**2 * slope / 2
    half = np.sqrt(middle**2 - estimate**2 + z**2 * at_zero)
    return Interval(middle - half, middle + half)


def inverted(channel: Channel, supporting: Integers | Floats, n: int, confidence: float, score: Interval) -> Interval:
    """The exact interval of the share among just the n who answered, raw: outside 0..1 it ends where `score` does.

    From the least to the greatest number of holders with which so many supporting reports are neither too many nor too
    few, tested at (1 - confidence) / 2 each; stretched to the estimate, which may lie between two numbers.
    """
    tail = (1 - confidence) / 2
    counts, at, place = np.unique(supporting.astype(np.float64), return_index=True, return_inverse=True)
    least = _first(n, score.low[at], lambda holders: 1 - _at_most(channel, counts - 1, n, holders) > tail)[place]
    above = _first(n, score.high[at], lambda holders: _at_most(channel, counts, n, holders) <= tail)[place]
    low, high = _raw(least, least / n, n, score.low), _raw(above, (above - 1) / n, n, score.high)
    estimate = channel.debias(supporting, n)
    return Interval(np.minimum(low, estimate), np.maximum(high, estimate))


def _raw(first: Integers, end: Floats, n: int, score: Floats) -> Floats:
    """The end that the first number of holders sets; where every number passes or none does, the score's beyond it."""
    return np.select([first == 0, first > n], [np.minimum(score, 0), np.maximum(score, 1)], end)


def _first(n: int, near: Floats, holds: Callable[[Integers], Booleans]) -> Integers:
    """The first number of 0..n from which on it holds, n + 1 if there is none: searched from shares near it."""
    low, high = np.zeros(near.shape, dtype=np.int64), np.full(near.shape, n + 1)
    tried, step = np.clip(np.rint(n * near), 0, n).astype(np.int64), 1
    while (low < high).any():
        held = holds(np.minimum(tried, n))
        low, high = np.where(held, low, tried + 1), np.where(held, tried, high)
        # Outwards in doubling steps, and by bisection once it lies between two tried numbers.
        tried = np.where(
            held, high - np.minimum(step, (high - low + 1) // 2), low + np.minimum(step, (high - low) // 2)
        )
        step *= 2
    return high


def _at_most(channel: Channel, supporting: Floats, n: int, holders: Integers) -> Floats:
    """How often at most so many of n reports support a value that so many of them hold: two binomials, convolved."""
    p, q = float(channel.p), float(channel.q)
    others = (n - holders)[:, None]
    reach = math.ceil(REACH * (1 + math.sqrt(n * q * (1 - q))))
    around = np.floor(others * q) + np.arange(-reach, reach + 1)
    chance = _binomial(around, others, q)
    rest = _binomial_at_most(supporting[:, None] - around, holders[:, None], p)
    return np.asarray((chance * rest).sum(axis=1) / chance.sum(axis=1))


def _binomial(exactly: Floats, n: Integers, rate: float) -> Floats:
    some = np.clip(exactly, 0, n)
    ways = gammaln(n + 1) - gammaln(some + 1) - gammaln(n - some + 1)
    return np.where(some == exactly, np.exp(ways + some * math.log(rate) + (n - some) * math.log1p(-rate)), 0.0)


def _binomial_at_most(most: Floats, n: Integers, rate: float) -> Floats:
    return np.where(most < 0, 0.0, bdtr(np.clip(most, 0, n), n, rate))


def normal_interval(shares: Floats, standard_error: Floats, confidence: float) -> Interval:
    """Two-sided interval of shares whose estimates are normal; float arrays of the same shape."""
    half = float(ndtri((1 + confidence) / 2)) * standard_error
    return Interval(shares - half, shares + half)


def one_sided(confidence: float) -> float:
    """The confidence of the two-sided interval whose lower end alone has this confidence; 0.5 to 1."""
    return 2 * confidence - 1


def detected(
    channel: Channel, supporting: Integers, n: int, confidence: float, population: Population = "customers"
) -> Booleans:
    """Which shares are told from zero: where the one-sided interval of this confidence lies above it."""
    return np.asarray(share_interval(channel, supporting, n, one_sided(confidence), population).low > 0)


def comparisons(mechanism: Mechanism) -> int:
    """How many of the shares can be wrong each by itself.

    Of two symbols each supports the one value or the other, so that either share tells the other. With more symbols
    a report supports both, or none, however few the values are.
    """
    return 1 if mechanism.symbols == 2 else mechanism.domain


def simultaneous(confidence: float, comparisons: int) -> float:
    """The confidence of each of so many intervals that makes all of them hold together. Sidak 1967."""
    return float(confidence ** (1 / comparisons))
