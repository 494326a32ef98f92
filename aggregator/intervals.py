"""Confidence intervals of shares: exact for small counts, conservative, and raw (not clipped to 0..1)."""

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

# A normal approximation would cover too little below these limits; `share_interval` states the coverage by enumeration.
SMALL_SAMPLE = 200  # reports
SMALL_COUNT = 30  # supporting or other reports; for respondents, the variance of the count that the noise causes
SKEWED = 0.25  # limit of skewness z^3 / 6 of a count, which is the relative error of the normal tail at z
REACH = 8  # standard deviations around the mean of a count, plus the same number of counts because counts are skewed


class Interval(NamedTuple):
    """The lower and upper ends of intervals: two float arrays of the same shape."""

    low: Floats
    high: Floats


def share_interval(
    channel: Channel, supporting: Integers | Floats, n: int, confidence: float, population: Population = "customers"
) -> Interval:
    """Return the two-sided confidence interval of each share, given how many of n reports support the value.

    supporting: int array of any shape, or floats for expected counts; n >= 1; 0 <= confidence < 1.

    With population "customers", the respondents are a sample of a larger population, and the shares are those of the
    larger population. The interval is that of Wilson 1927, mapped through the channel. With "respondents", the shares
    are those of the respondents alone. The interval is a score interval.

    The interval is exact (for customers, Clopper & Pearson 1934) in four cases: there are few reports, few reports
    support the value or few do not, the noise changed few reports, or the count is skewed.

    Coverage by enumeration, for both populations: at least .938 at a confidence of .95 (less than .94 in 1 of 1,600
    random cases), and at least .985 at .99. At lower confidences, coverage falls because counts are whole numbers. With
    200 reports or more, the coverage is at least .88 at .9, .77 at .8 and .44 at .5.
    """
    z = float(ndtri((1 + confidence) / 2))
    p, q = float(channel.p), float(channel.q)
    if population == "customers":
        low, high = (channel.share(end) for end in wilson(supporting, n, z))
        # The observed rate estimates the true rate, which always lies between q and p.
        rate = np.clip(supporting / n, q, p)
        few = n * np.minimum(rate, 1 - rate) < SMALL_COUNT
        exact = (n < SMALL_SAMPLE) | few | _skewed(n * rate * (1 - rate), 1 - 2 * rate, z)
        low[exact], high[exact] = (channel.share(end) for end in clopper_pearson(supporting[exact], n, confidence))
    else:
        low, high = respondents_score(channel, supporting, n, z)
        share = np.clip(channel.debias(supporting, n), 0, 1)
        of_holders, of_others = n * share * p * (1 - p), n * (1 - share) * q * (1 - q)
        variance = of_holders + of_others
        third = (of_holders * (1 - 2 * p) + of_others * (1 - 2 * q)) / variance
        exact = (n < SMALL_SAMPLE) | (variance < SMALL_COUNT) | _skewed(variance, third, z)
        score = Interval(low[exact], high[exact])
        low[exact], high[exact] = respondents_exact(channel, supporting[exact], n, confidence, score)
    return Interval(low, high)


def _skewed(variance: Floats, third: Floats, z: float) -> Booleans:
    """Return whether a count is too skewed for a normal tail at z.

    third: the third central moment of the count, divided by its variance.
    """
    return np.asarray(np.abs(third) / np.sqrt(variance) * z**3 / 6 > SKEWED)


def wilson(supporting: Integers | Floats, n: int, z: float) -> Interval:
    """Return the score interval of a binomial rate. z: the normal quantile. Wilson 1927."""
    middle = supporting + z**2 / 2
    half = z * np.sqrt(supporting * (1 - supporting / n) + z**2 / 4)
    return Interval((middle - half) / (n + z**2), (middle + half) / (n + z**2))


def clopper_pearson(supporting: Integers | Floats, n: int, confidence: float) -> Interval:
    """Return the exact interval of a binomial rate. The coverage is at least `confidence`. Clopper & Pearson 1934."""
    tail = (1 - confidence) / 2
    low, high = np.zeros(supporting.shape), np.ones(supporting.shape)
    some, others = supporting > 0, supporting < n
    low[some] = betaincinv(supporting[some], n - supporting[some] + 1, tail)
    high[others] = betaincinv(supporting[others] + 1, n - supporting[others], 1 - tail)
    return Interval(low, high)


def respondents_score(channel: Channel, supporting: Integers | Floats, n: int, z: float) -> Interval:
    """Return the score interval of the share among the n respondents: the solutions f of |estimate - f| <= z sd(f)."""
    at_zero = channel.respondents_variance(0, n)
    slope = channel.respondents_variance(1, n) - at_zero
    estimate = channel.debias(supporting, n)
    middle = estimate + z**2 * slope / 2
    half = np.sqrt(middle**2 - estimate**2 + z**2 * at_zero)
    return Interval(middle - half, middle + half)


def respondents_exact(
    channel: Channel, supporting: Integers | Floats, n: int, confidence: float, score: Interval
) -> Interval:
    """Return the exact interval of the share among the n respondents by inverting two one-sided tests.

    Each test has the level (1 - confidence) / 2. The interval extends from the smallest to the largest number of
    holders that neither test rejects. It also includes the estimate, which may lie between two numbers of holders. The
    interval is raw: an end outside 0..1 is the end of `score`, the score interval.
    """
    tail = (1 - confidence) / 2
    counts, at, place = np.unique(supporting.astype(np.float64), return_index=True, return_inverse=True)
    least = _smallest(n, score.low[at], lambda holders: 1 - _at_most(channel, counts - 1, n, holders) > tail)[place]
    above = _smallest(n, score.high[at], lambda holders: _at_most(channel, counts, n, holders) <= tail)[place]
    low, high = _raw_end(least, least / n, n, score.low), _raw_end(above, (above - 1) / n, n, score.high)
    estimate = channel.debias(supporting, n)
    return Interval(np.minimum(low, estimate), np.maximum(high, estimate))


def _raw_end(smallest: Integers, end: Floats, n: int, score: Floats) -> Floats:
    """Return `end`, or the score end (at or beyond 0 or 1) if a test accepts every number of holders or no number."""
    return np.select([smallest == 0, smallest > n], [np.minimum(score, 0), np.maximum(score, 1)], end)


def _smallest(n: int, near: Floats, accepts: Callable[[Integers], Booleans]) -> Integers:
    """Return the smallest number in 0..n that `accepts` accepts, or n + 1 if `accepts` accepts none.

    near: the shares at which the search starts. accepts: if true for a number, also true for every larger number.
    """
    low, high = np.zeros(near.shape, dtype=np.int64), np.full(near.shape, n + 1)
    tried, step = np.clip(np.rint(n * near), 0, n).astype(np.int64), 1
    while (low < high).any():
        accepted = accepts(np.minimum(tried, n))
        low, high = np.where(accepted, low, tried + 1), np.where(accepted, tried, high)
        # Double the step away from the start, then bisect between two tried numbers.
        tried = np.where(
            accepted, high - np.minimum(step, (high - low + 1) // 2), low + np.minimum(step, (high - low) // 2)
        )
        step *= 2
    return high


def _at_most(channel: Channel, supporting: Floats, n: int, holders: Integers) -> Floats:
    """Return the probability that at most `supporting` of n reports support a value that `holders` of n devices hold.

    The count is the sum of two binomials, one of the holders and one of the other devices. Computed by convolution.
    """
    p, q = float(channel.p), float(channel.q)
    others = (n - holders)[:, None]
    reach = math.ceil(REACH * (1 + math.sqrt(n * q * (1 - q))))
    around = np.floor(others * q) + np.arange(-reach, reach + 1)
    chance = _binomial(around, others, q)
    rest = _binomial_at_most(supporting[:, None] - around, holders[:, None], p)
    return np.asarray((chance * rest).sum(axis=1) / chance.sum(axis=1))


def _binomial(count: Floats, n: Integers, rate: float) -> Floats:
    possible = np.clip(count, 0, n)
    ways = gammaln(n + 1) - gammaln(possible + 1) - gammaln(n - possible + 1)
    likelihood = np.exp(ways + possible * math.log(rate) + (n - possible) * math.log1p(-rate))
    return np.where(possible == count, likelihood, 0.0)


def _binomial_at_most(most: Floats, n: Integers, rate: float) -> Floats:
    return np.where(most < 0, 0.0, bdtr(np.clip(most, 0, n), n, rate))


def normal_interval(shares: Floats, standard_error: Floats, confidence: float) -> Interval:
    """Return the two-sided interval of shares with normally distributed estimates; float arrays of the same shape."""
    half = float(ndtri((1 + confidence) / 2)) * standard_error
    return Interval(shares - half, shares + half)


def one_sided(confidence: float) -> float:
    """Return the confidence of the two-sided interval whose lower end alone has the given confidence, 0.5 to 1."""
    return 2 * confidence - 1


def detected(
    channel: Channel, supporting: Integers, n: int, confidence: float, population: Population = "customers"
) -> Booleans:
    """Return which shares are distinguishable from zero: their one-sided interval of this confidence is above zero."""
    return np.asarray(share_interval(channel, supporting, n, one_sided(confidence), population).low > 0)


def comparisons(mechanism: Mechanism) -> int:
    """Return how many shares of the mechanism can have independent errors.

    With two symbols, each symbol supports exactly one of two values, so one share determines the other share. With more
    symbols, a report may support both values or neither, even if there are only two values.
    """
    return 1 if mechanism.symbols == 2 else mechanism.domain


def simultaneous(confidence: float, comparisons: int) -> float:
    """Return the confidence that each of `comparisons` intervals needs so that all have `confidence`. Sidak 1967."""
    return float(confidence ** (1 / comparisons))
