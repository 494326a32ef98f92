"""Support counts: how many reports of a tally support each value, computed for all reports at once."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import singledispatch

import numpy as np
from numpy.typing import NDArray

from hushtally.aggregator.errors import EstimateError
from hushtally.aggregator.tally import Integers, Tally
from hushtally.client_sdk.mechanisms import Affine, Direct, Mechanism, Permanent, Projective, Subset
from hushtally.client_sdk.mechanisms.unary import Unary

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]

BLOCK = 2**20  # elements of one working array; larger arrays do not fit into the cache and are not faster


def support_counts(mechanism: Mechanism, tally: Tally) -> Integers:
    """Return how many reports of the tally support each value; int64 array of shape (domain,).

    Equals the sum of mechanism.supports(symbol, value) over the reports. Raises EstimateError for a symbol that is out
    of range, and for a mechanism whose values share bits (rappor).
    """
    if tally.symbols.size and tally.symbols[-1] >= mechanism.symbols:
        raise EstimateError(
            f"symbol {tally.symbols[-1]} is out of range: {mechanism.name} has {mechanism.symbols:,} symbols here;"
            " the counts belong to another question"
        )
    return _decode(mechanism, tally)


@singledispatch
def _decode(mechanism: Mechanism, tally: Tally) -> Integers:
    raise EstimateError(f"{mechanism.name} has no support counts")


@_decode.register
def _permanent(mechanism: Permanent, tally: Tally) -> Integers:
    return _decode(mechanism.single_report, tally)


@_decode.register
def _direct(mechanism: Direct, tally: Tally) -> Integers:
    return tally.histogram(0, mechanism.domain)


@_decode.register
def _affine(mechanism: Affine, tally: Tally) -> Integers:
    """Count by window sums, one for each m and v: symbol (m, s) supports v iff s is one of the w elements up to m v."""
    if mechanism.t > 1:
        return _slabs(mechanism, tally)
    r = mechanism.r
    rows, columns = np.divmod(tally.symbols, r)
    multipliers, at = np.unique(rows, return_inverse=True)
    if tally.symbols.size * mechanism.domain < multipliers.size * r:
        return _pairs(mechanism, tally)
    values = np.arange(mechanism.domain)
    supporting = np.zeros(mechanism.domain, dtype=np.int64)
    step = max(BLOCK // r, 1)
    for start in range(0, multipliers.size, step):
        block = multipliers[start : start + step]
        begin, end = np.searchsorted(at, [start, start + step])
        counts = np.zeros((block.size, r), dtype=np.int64)
        counts[at[begin:end] - start, columns[begin:end]] = tally.counts[begin:end]
        places = mechanism.product(block[:, None], values)
        supporting += np.take_along_axis(_windows(counts, mechanism), places, axis=1).sum(axis=0)
    return supporting


def _pairs(mechanism: Affine, tally: Tally) -> Integers:
    """Compare every symbol with every value, which is less work for few symbols in a large field."""
    values = np.arange(mechanism.domain)
    supporting = np.zeros(mechanism.domain, dtype=np.int64)
    step = max(BLOCK // mechanism.domain, 1)
    for start in range(0, tally.symbols.size, step):
        rows, columns = np.divmod(tally.symbols[start : start + step, None], mechanism.r)
        inside = mechanism.field.subtract(mechanism.product(rows, values), columns) < mechanism.w
        supporting += tally.counts[start : start + step] @ inside
    return supporting


def _windows(counts: Integers, mechanism: Affine) -> Integers:
    """Return, for every element h, the sum of the counts at h - x for x < w; arrays of shape (rows, r)."""
    p, w = mechanism.field.p, mechanism.w
    if p == mechanism.r:
        return _ending(counts, w)
    whole, rest = divmod(w, p)  # x = a + p b with b < whole, or b = whole and a < rest
    grid = counts.reshape(-1, p, p)
    windows = np.zeros_like(grid)
    if whole:
        windows += _ending(grid.sum(axis=2), whole)[:, :, None]
    if rest:
        windows += np.roll(_ending(grid, rest), whole, axis=1)
    return windows.reshape(counts.shape)


def _ending(counts: Integers, width: int) -> Integers:
    """Return the sums of the `width` counts up to each index of the cyclic last axis; 0 < width <= its size."""
    sums = np.cumsum(np.concatenate([counts[..., -width:], counts], axis=-1), axis=-1)
    return np.asarray(sums[..., width:] - sums[..., :-width])


def _slabs(mechanism: Affine, tally: Tally) -> Integers:
    """Sum the window sums T[m, <m, v>] over m, by r Fourier transforms over the space; half are conjugate.

    r [h = <m, v>] is the sum over a of exp(-2 pi i a (h - <m, v>) / r). Let G be the transform of T along h, and F_a
    the transform of G[., a] over all m. The result is therefore (1 / r) times the sum over a of F_a[-a v].
    """
    r, t = mechanism.r, mechanism.t
    table = np.zeros((r**t, r), dtype=np.int64)
    table[1:] = _ending(tally.histogram(0, mechanism.symbols).reshape(-1, r), mechanism.w)
    along = np.fft.rfft(table, axis=1)
    digits = np.arange(mechanism.domain) // r ** np.arange(t)[:, None] % r
    total = np.zeros(mechanism.domain)
    for a in range(along.shape[1]):
        over = np.fft.fftn(along[:, a].reshape((r,) * t)).ravel()
        terms = over[r ** np.arange(t) @ (-a * digits % r)].real
        total += terms if 2 * a in (0, r) else 2 * terms
    return np.rint(total / r).astype(np.int64)


@_decode.register
def _subset(mechanism: Subset, tally: Tally) -> Integers:
    supporting = np.zeros(mechanism.domain, dtype=np.int64)
    for members in unranked(mechanism, tally.symbols):
        np.add.at(supporting, members, tally.counts)
    return supporting


def unranked(mechanism: Subset, symbols: Integers) -> Iterator[Integers]:
    """Yield the w members of the subsets with these ranks, largest member first; each is an array like `symbols`."""
    rest = symbols.copy()
    for j in range(mechanism.w, 0, -1):
        # Above the range of symbols, the exact binomial does not matter. It may exceed 64 bits.
        ranks = np.array([min(math.comb(a, j), mechanism.symbols) for a in range(mechanism.domain)])
        members = np.searchsorted(ranks, rest, side="right") - 1
        rest -= ranks[members]
        yield members


@_decode.register
def _unary(mechanism: Unary, tally: Tally) -> Integers:
    bits = (tally.counts[(tally.symbols >> value & 1).astype(bool)] for value in range(mechanism.domain))
    return np.array([ones.sum() for ones in bits], dtype=np.int64)


@_decode.register
def _projective(mechanism: Projective, tally: Tally) -> Integers:
    """Count by one Fourier transform for every number m of coordinates after the pivot of a symbol.

    Let (x, y) be the last coordinates of a value, with y of length m. A symbol with m such coordinates u supports the
    value if x + <u, y> = 0 mod r. r [this is true] is the sum over a of exp(-2 pi i a (x + <u, y>) / r). Let F be the
    transform of the counts over the grid r^m. The sum of the counts over all u is therefore (1 / r) times the sum over
    a of exp(-2 pi i a x / r) F[a y].
    """
    r, t = mechanism.r, mechanism.t
    digits, _ = vectors(np.arange(mechanism.domain), r, t)
    supporting = np.zeros(mechanism.domain)
    first = 0
    for m in range(t):
        counts = tally.histogram(first, first + r**m)
        first += r**m
        grid = np.fft.fftn(counts.reshape((r,) * m)) if m else counts.astype(np.complex128)
        supporting += _lines(grid.ravel(), digits[t - 1 - m], digits[t - m :], r)
    return np.rint(supporting / r).astype(np.int64)


def _lines(transform: Complexes, x: Integers, y: Integers, r: int) -> Floats:
    """Sum exp(-2 pi i a x / r) F[a y] over a; the terms of a and r - a are conjugate. Same shape as x."""
    phases = np.exp(-2j * np.pi / r * np.arange(r))
    weights = r ** np.arange(len(y))[::-1]
    total = np.full(x.shape, transform[0].real)
    for a in range(1, r // 2 + 1):
        terms = (phases[a * x % r] * transform[weights @ (a * y % r)]).real
        total += terms if 2 * a == r else 2 * terms
    return total


def vectors(indexes: Integers, r: int, t: int) -> tuple[Integers, Integers]:
    """Return the canonical vectors of t coordinates mod r with these indexes, as columns, and their pivot indexes."""
    firsts = np.array([(r**m - 1) // (r - 1) for m in range(t)])
    after = np.searchsorted(firsts, indexes, side="right") - 1
    number = r**after + indexes - firsts[after]
    return np.array([number // r**place % r for place in reversed(range(t))]), t - 1 - after
