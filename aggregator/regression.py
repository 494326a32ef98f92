"""Shares from bits that values share (RAPPOR): least squares over the declared domain."""

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

CONVERGED = 64  # steps: each leaves at most .71 of what is still to go
SEPARABLE = 1e-9  # of the largest eigenvalue: below it two sets of values set the same bits


@dataclass(frozen=True, eq=False)
class Regression:
    """Raw shares and their standard errors; float arrays of shape (domain,)."""

    shares: Floats
    standard_error: Floats

    def detected(self, confidence: float) -> NDArray[np.bool_]:
        """Which shares are told from zero: a one-sided test of each; bool array of shape (domain,)."""
        return np.asarray(self.shares > float(ndtri(confidence)) * self.standard_error)

    def interval(self, confidence: float) -> Interval:
        """Interval of each share: holds it with `confidence`, and at least so where `detected(confidence)` does too.

        Of the shares whose lower end is above zero, which are fewer, it does not hold as many.

        Values that are looked at because they were detected are overestimated more often than others; so the lower end
        of a share that barely stands out reaches further, down to zero, and no upper end needs to. See `_tails`.
        Weinstein, Fithian & Benjamini 2013 (intervals conditional on the selection).
        """
        plain = normal_interval(self.shares, self.standard_error, confidence)
        known = np.full(self.shares.shape, np.inf)  # what a share without any error is, in standard errors
        estimate = np.divide(self.shares, self.standard_error, out=known, where=self.standard_error > 0)
        down = up = np.zeros(self.shares.shape)
        for _ in range(CONVERGED):
            down = -ndtri(_tails(estimate - down, confidence)[1])
            up = -ndtri(_tails(estimate + up, confidence)[0])
        low = np.maximum(self.shares - down * self.standard_error, 0)
        # No share is below zero: there the plain end says the same, and is never far.
        return Interval(np.where(plain.low > 0, low, plain.low), self.shares + up * self.standard_error)

    def simultaneous(self, confidence: float) -> Interval:
        """Intervals that hold all shares at once with `confidence`."""
        return normal_interval(self.shares, self.standard_error, simultaneous(confidence, self.shares.size))


def _tails(share: Floats, confidence: float) -> tuple[Floats, Floats]:
    """How often the estimate of a share, in standard errors, is too low and too high for its interval to hold it.

    Together 1 - confidence = a. It is detected with chance D; too high with a D, so that of the detected a share of a
    is missed. Where D > 1/2 both are a/2 and at most a D are missed: of the too low up to 1 - D are not detected, which
    leaves a/2 <= a D (all of them) or a - (1 - D) <= a D.
    """
    error = 1 - confidence
    chance = ndtr(np.maximum(share, 0) - ndtri(confidence))
    too_high = error * np.minimum(chance, 0.5)
    return error - too_high, too_high


class Group(NamedTuple):
    """The reports of one hash group: how many, the bits that each value sets, and how often each bit came as 1.

    design: (domain, k), 0 or 1; debiased: (k,), the rates of the bits before the noise.
    """

    n: int
    design: Floats
    debiased: Floats

    def covariance(self, channel: Channel, shares: Floats) -> Floats:
        """Covariance of the debiased bits of one report, (k, k), where customers hold values with these shares.

        Bits depend on each other through the value alone; the noise of each is its own.
        """
        rates = shares @ self.design
        between = (self.design.T * shares) @ self.design - np.outer(rates, rates)
        return np.asarray(between + np.diag(channel.respondents_variance(rates, 1)))


def regress(mechanism: Rappor, tally: Tally, population: Population = "customers") -> Regression:
    """Least squares of the reports' bits on the bits that each value sets, all hash groups together.

    Unbiased, with the covariance of whole reports at the closest shares that could be true: that of the reports
    themselves would tell least where few of them hold a value, or none. population: "customers", or "respondents",
    whose share is known but for the noise. Raises NotEstimableError where the bits cannot tell the values apart.
    Erlingsson, Pihur & Korolova 2014.
    """
    groups = list(_groups(mechanism, tally))
    design = np.hstack([group.design for group in groups])
    weighted = np.hstack([group.n * group.design for group in groups])
    debiased = np.concatenate([group.debiased for group in groups])
    inverse = _inverse(weighted @ design.T, mechanism)
    shares = inverse @ (weighted @ debiased)
    possible = consistent(shares)
    around = [group.n * group.design @ group.covariance(mechanism.channel, possible) for group in groups]
    spread = np.hstack(around) @ design.T
    variance = np.sum(inverse @ spread * inverse, axis=1)
    if population == "respondents":
        variance = np.maximum(variance - possible * (1 - possible) / tally.n, 0)
    return Regression(shares, np.sqrt(variance))


def _groups(mechanism: Rappor, tally: Tally) -> Iterator[Group]:
    numbers, begins = np.unique(tally.symbols >> mechanism.k, return_index=True)
    for number, begin, end in zip(numbers.tolist(), begins, [*begins[1:], tally.symbols.size], strict=True):
        counts = tally.counts[begin:end]
        n = int(counts.sum())
        rate = counts @ _bits(tally.symbols[begin:end], mechanism.k) / n
        set_by = np.array([mechanism.bits(number, value) for value in range(mechanism.domain)])
        yield Group(n, _bits(set_by, mechanism.k), mechanism.channel.share(rate))


def _bits(symbols: Integers, k: int) -> Floats:
    """The k lowest bits of every symbol, the lowest first; float array of shape (symbols, k)."""
    return (symbols[:, None] >> np.arange(k) & 1).astype(np.float64)


def _inverse(normal: Floats, mechanism: Rappor) -> Floats:
    roots, vectors = np.linalg.eigh(normal)
    if roots[0] <= SEPARABLE * roots[-1]:
        raise NotEstimableError(
            f"rappor with {counted(mechanism.m, 'group')} of {counted(mechanism.k, 'bit')}, as far as they came,"
            f" cannot tell {mechanism.domain:,} values apart"
        )
    return np.asarray(vectors / roots @ vectors.T)
