"""Shares from bits that values share (RAPPOR): least squares over the declared domain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from aggregator.errors import NotEstimableError
from aggregator.intervals import Floats, Interval, Population
from aggregator.tally import Integers, Tally
from client_sdk.mechanisms import Rappor

MOST_VALUES = 4096  # the normal equations are dense
SEPARABLE = 1e-9  # of the largest eigenvalue: below it two sets of values set the same bits


@dataclass(frozen=True, eq=False)
class Regression:
    """Raw shares and their standard errors; float arrays of shape (domain,)."""

    shares: Floats
    standard_error: Floats

    def interval(self, confidence: float) -> Interval:
        """Two-sided interval of each share."""
        half = float(ndtri((1 + confidence) / 2)) * self.standard_error
        return Interval(self.shares - half, self.shares + half)

    def detected(self, confidence: float = 0.95) -> NDArray[np.bool_]:
        """Which shares are told from zero: a one-sided test of each; bool array of shape (domain,)."""
        return np.asarray(self.shares > float(ndtri(confidence)) * self.standard_error)

    def interval_of_detected(self, confidence: float = 0.95) -> Interval:
        """Intervals for whoever looks at the detected shares only: of those on average `confidence` hold the truth.

        Values picked for their high estimates are overestimated more often than others, so that their intervals must
        be wider. Shape (domain,), meant for the detected. Benjamini & Yekutieli 2005 (false coverage rate).
        """
        share = self.detected(confidence).mean()
        return self.interval(1 - (1 - confidence) * float(share)) if share else self.interval(confidence)


class Group(NamedTuple):
    """The reports of one hash group: how many, the bits that each value sets, and what came of them.

    design: (domain, k), 0 or 1; debiased: (k,), the rates of the bits before the noise; within: (k, k), the sum of
    squares and products around them over all reports.
    """

    n: int
    design: Floats
    debiased: Floats
    within: Floats


def regress(mechanism: Rappor, tally: Tally, population: Population = "customers") -> Regression:
    """Least squares of the reports' bits on the bits that each value sets, all hash groups together.

    Unbiased, with the covariance of whole reports (sandwich: bits of one report depend on each other through its
    value). population: "customers", or "respondents", whose share is known but for the noise. Raises NotEstimableError
    where the bits cannot tell the values apart. Erlingsson, Pihur & Korolova 2014; White 1980.
    """
    if mechanism.domain > MOST_VALUES:
        raise NotEstimableError(f"rappor is decoded for at most {MOST_VALUES:,} values, got {mechanism.domain:,}")
    groups = list(_groups(mechanism, tally))
    design = np.hstack([group.design for group in groups])
    weighted = np.hstack([group.n * group.design for group in groups])
    debiased = np.concatenate([group.debiased for group in groups])
    inverse = _inverse(weighted @ design.T, mechanism)
    shares = inverse @ (weighted @ debiased)
    residuals = np.split(debiased - shares @ design, len(groups))
    around_fit = [
        group.design @ (group.within + group.n * np.outer(residual, residual))
        for group, residual in zip(groups, residuals, strict=True)
    ]
    spread = np.hstack(around_fit) @ design.T
    variance = np.sum(inverse @ spread * inverse, axis=1)
    if population == "respondents":
        possible = np.clip(shares, 0, 1)
        variance = np.maximum(variance - possible * (1 - possible) / tally.n, 0)
    return Regression(shares, np.sqrt(variance))


def _groups(mechanism: Rappor, tally: Tally) -> Iterator[Group]:
    numbers, begins = np.unique(tally.symbols >> mechanism.k, return_index=True)
    for number, begin, end in zip(numbers.tolist(), begins, [*begins[1:], tally.symbols.size], strict=True):
        bits = _bits(tally.symbols[begin:end], mechanism.k).T.copy()
        counts = tally.counts[begin:end].astype(np.float64)
        n = int(counts.sum())
        rate = bits @ counts / n
        # Not `@`: its threads wait for each other on matrices as thin as these, for seconds on a busy machine.
        pairs = np.einsum("is,js->ij", bits * counts, bits)
        within = (pairs - n * np.outer(rate, rate)) / mechanism.channel.gain**2
        set_by = np.array([mechanism.bits(number, value) for value in range(mechanism.domain)])
        yield Group(n, _bits(set_by, mechanism.k), mechanism.channel.share(rate), within)


def _bits(symbols: Integers, k: int) -> Floats:
    """The k lowest bits of every symbol, the lowest first; float array of shape (symbols, k)."""
    return (symbols[:, None] >> np.arange(k) & 1).astype(np.float64)


def _inverse(normal: Floats, mechanism: Rappor) -> Floats:
    roots, vectors = np.linalg.eigh(normal)
    if roots[0] <= SEPARABLE * roots[-1]:
        raise NotEstimableError(
            f"rappor with {mechanism.m:,} groups of {mechanism.k} bits, as far as they came, cannot tell "
            f"{mechanism.domain:,} values apart"
        )
    return np.asarray(vectors / roots @ vectors.T)
