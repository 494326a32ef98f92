"""Regression: the shares of values that share bits (RAPPOR), by least squares over the declared domain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from hushtally.aggregator.consistency import consistent
from hushtally.aggregator.errors import NotEstimableError
from hushtally.aggregator.intervals import Floats, Interval, Population, normal_interval, simultaneous
from hushtally.aggregator.tally import Integers, Tally
from hushtally.client_sdk.explain.wording import counted
from hushtally.client_sdk.mechanisms import Rappor
from hushtally.client_sdk.mechanisms.channel import Channel

ITERATIONS = 64  # each iteration reduces the error to at most .71 of its size
# relative to the largest eigenvalue; an eigenvalue below this means that two sets of values set the same bits
SINGULAR = 1e-9


@dataclass(frozen=True, eq=False)
class Regression:
    """Raw shares and their standard errors; float arrays of shape (domain,)."""

    shares: Floats
    standard_error: Floats

    def detected(self, confidence: float) -> NDArray[np.bool_]:
        """Return which shares a one-sided test distinguishes from zero; bools of shape (domain,)."""
        return np.asarray(self.shares > float(ndtri(confidence)) * self.standard_error)

    def interval(self, confidence: float) -> Interval:
        """Return the interval of each share. The coverage is `confidence`, and at least that among detected shares.

        The estimates of detected shares are too high more often than other estimates. Therefore the lower end of a
        barely detected share is lowered, down to zero if necessary. Upper ends need no such change; see `_tails`.
        Fewer shares have a lower end above zero than are detected. Among these shares the coverage is lower.
        Source: Weinstein, Fithian & Benjamini 2013 (intervals conditional on selection).
        """
        plain = normal_interval(self.shares, self.standard_error, confidence)
        infinite = np.full(self.shares.shape, np.inf)  # the estimate in standard errors if there is no error
        estimate = np.divide(self.shares, self.standard_error, out=infinite, where=self.standard_error > 0)
        down = up = np.zeros(self.shares.shape)
        for _ in range(ITERATIONS):
            down = -ndtri(_tails(estimate - down, confidence)[1])
            up = -ndtri(_tails(estimate + up, confidence)[0])
        low = np.maximum(self.shares - down * self.standard_error, 0)
        # No true share is negative, so an end below zero covers as much as zero. The plain end is never far away.
        return Interval(np.where(plain.low > 0, low, plain.low), self.shares + up * self.standard_error)

    def simultaneous(self, confidence: float) -> Interval:
        """Return intervals that together contain all true shares with `confidence`."""
        return normal_interval(self.shares, self.standard_error, simultaneous(confidence, self.shares.size))


@dataclass(frozen=True, eq=False)
class JointRegression(Regression):
    """A regression with the covariance of its shares, of shape (domain, domain)."""

    covariance: Floats


def _tails(share: Floats, confidence: float) -> tuple[Floats, Floats]:
    """Return the probabilities that the interval misses because the estimate is too low, and because it is too high.

    share: true shares in standard errors. The two probabilities add up to a = 1 - confidence. Let D be the probability
    that the share is detected. For D <= 1/2, the estimate is too high with probability a D, so the interval misses in a
    fraction a of the detections. For D > 1/2, both probabilities are a/2, and the share is detected and missed with
    probability at most a D. The reason: estimates that are too low are not detected with probability up to 1 - D. This
    leaves a/2 <= a D (if all estimates that miss are detected) or a - (1 - D) <= a D.
    """
    error = 1 - confidence
    chance = ndtr(np.maximum(share, 0) - ndtri(confidence))
    too_high = error * np.minimum(chance, 0.5)
    return error - too_high, too_high


class Group(NamedTuple):
    """The reports of one hash group.

    n: the number of reports. design: shape (domain, k); the bits that each value sets, 0 or 1. debiased: shape (k,);
    the rate of each bit before the noise, estimated from how often the bit was reported as 1.
    """

    n: int
    design: Floats
    debiased: Floats

    def covariance(self, channel: Channel, shares: Floats) -> Floats:
        """Return the covariance of the debiased bits of one report, of shape (k, k), for customers with these shares.

        The bits depend on each other only through the value, because the noise of each bit is independent.
        """
        rates = shares @ self.design
        between = (self.design.T * shares) @ self.design - np.outer(rates, rates)
        return np.asarray(between + np.diag(channel.respondents_variance(rates, 1)))


def regress(mechanism: Rappor, tally: Tally, population: Population = "customers") -> JointRegression:
    """Fit the reported bits on the bits that each value sets by least squares, for all hash groups together.

    The shares are unbiased. Their covariance is that of reports from a population with the closest consistent shares.
    The sample covariance of the reports would be too small if few respondents or none have a value. population:
    "customers" or "respondents". The shares of respondents are uncertain only because of the noise. Raises
    NotEstimableError if the bits cannot distinguish the values. Source: Erlingsson, Pihur & Korolova 2014.
    """
    groups = list(_groups(mechanism, tally))
    design = np.hstack([group.design for group in groups])
    weighted = np.hstack([group.n * group.design for group in groups])
    debiased = np.concatenate([group.debiased for group in groups])
    inverse = _inverse(weighted @ design.T, mechanism)
    shares = inverse @ (weighted @ debiased)
    possible = consistent(shares)
    parts = [group.n * group.design @ group.covariance(mechanism.channel, possible) for group in groups]
    covariance = inverse @ (np.hstack(parts) @ design.T) @ inverse
    if population == "respondents":
        covariance = covariance - (np.diag(possible) - np.outer(possible, possible)) / tally.n
    return JointRegression(shares, np.sqrt(np.maximum(np.diag(covariance), 0)), np.asarray(covariance))


def _groups(mechanism: Rappor, tally: Tally) -> Iterator[Group]:
    numbers, begins = np.unique(tally.symbols >> mechanism.k, return_index=True)
    for number, begin, end in zip(numbers.tolist(), begins, [*begins[1:], tally.symbols.size], strict=True):
        counts = tally.counts[begin:end]
        n = int(counts.sum())
        rate = counts @ _bits(tally.symbols[begin:end], mechanism.k) / n
        set_bits = np.array([mechanism.bits(number, value) for value in range(mechanism.domain)])
        yield Group(n, _bits(set_bits, mechanism.k), mechanism.channel.share(rate))


def _bits(symbols: Integers, k: int) -> Floats:
    """Return the k lowest bits of every symbol, lowest bit first, as a float array of shape (symbols, k)."""
    return (symbols[:, None] >> np.arange(k) & 1).astype(np.float64)


def _inverse(normal: Floats, mechanism: Rappor) -> Floats:
    """Compute the inverse of the normal matrix, of shape (domain, domain), from its eigenvalues."""
    eigenvalues, vectors = np.linalg.eigh(normal)
    if eigenvalues[0] <= SINGULAR * eigenvalues[-1]:
        raise NotEstimableError(
            f"the reports so far cannot distinguish {mechanism.domain:,} values"
            f" (rappor with {counted(mechanism.m, 'group')} of {counted(mechanism.k, 'bit')})"
        )
    return np.asarray(vectors / eigenvalues @ vectors.T)
