"""The support matrix: which symbols support which values, and the moments of weighted supports over a tally."""

from __future__ import annotations

from functools import lru_cache, singledispatch

import numpy as np
from numpy.typing import NDArray

from hushtally.aggregator.errors import EstimateError
from hushtally.aggregator.support import BLOCK, unranked, vectors
from hushtally.aggregator.tally import Integers, Tally
from hushtally.client_sdk.mechanisms import Affine, Direct, Mechanism, Permanent, Projective, Subset
from hushtally.client_sdk.mechanisms.unary import Unary

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

LARGEST_KEPT = 2**22  # entries of a support matrix that is kept


@singledispatch
def support_matrix(mechanism: Mechanism, symbols: Integers, values: Integers) -> Booleans:
    """Return whether each symbol supports each value, as mechanism.supports does; shape (symbols, values).

    Raises EstimateError for a mechanism whose values share bits (rappor).
    """
    raise EstimateError(f"{mechanism.name} has no support matrix")


@support_matrix.register
def _permanent(mechanism: Permanent, symbols: Integers, values: Integers) -> Booleans:
    return support_matrix(mechanism.single_report, symbols, values)


@support_matrix.register
def _direct(mechanism: Direct, symbols: Integers, values: Integers) -> Booleans:
    return np.asarray(symbols[:, None] == values)


@support_matrix.register
def _affine(mechanism: Affine, symbols: Integers, values: Integers) -> Booleans:
    rows, columns = np.divmod(symbols[:, None], mechanism.r)
    return np.asarray(mechanism.field.subtract(mechanism.product(rows, values), columns) < mechanism.w)


@support_matrix.register
def _subset(mechanism: Subset, symbols: Integers, values: Integers) -> Booleans:
    found = np.zeros((symbols.size, values.size), dtype=bool)
    for members in unranked(mechanism, symbols):
        found |= members[:, None] == values
    return found


@support_matrix.register
def _unary(mechanism: Unary, symbols: Integers, values: Integers) -> Booleans:
    return (symbols[:, None] >> values & 1).astype(bool)


@support_matrix.register
def _projective(mechanism: Projective, symbols: Integers, values: Integers) -> Booleans:
    u, _ = vectors(symbols, mechanism.r, mechanism.t)
    v, _ = vectors(values, mechanism.r, mechanism.t)
    return np.asarray(u.T @ v % mechanism.r == 0)


@lru_cache(maxsize=8)
def _whole_matrix(mechanism: Mechanism) -> Booleans:
    """Return the support matrix of all symbols, cached because the tallies of one question share it."""
    return support_matrix(mechanism, np.arange(mechanism.symbols), np.arange(mechanism.domain))


def moments(mechanism: Mechanism, tally: Tally, weights: Floats) -> tuple[Floats, Floats]:
    """Return the mean and the second moments of m scores over the reports of a tally.

    A score is the sum of the weights of the values that a report supports. weights: shape (m, domain). Returns arrays
    of shape (m,) and (m, m). The work grows with the distinct symbols and the values with a weight, not with reports.
    """
    used = np.flatnonzero(weights.any(axis=0))
    of_used = weights[:, used].T
    kept = mechanism.symbols * mechanism.domain <= LARGEST_KEPT
    mean, second = np.zeros(len(weights)), np.zeros((len(weights), len(weights)))
    step = max(BLOCK // max(used.size, len(weights), 1), 1)
    for start in range(0, tally.symbols.size, step):
        block = slice(start, start + step)
        symbols = tally.symbols[block]
        supported = _whole_matrix(mechanism)[symbols][:, used] if kept else support_matrix(mechanism, symbols, used)
        scores = supported.astype(np.float64) @ of_used
        weighted = tally.counts[block, None] * scores
        mean += weighted.sum(axis=0)
        second += scores.T @ weighted
    return mean / tally.n, second / tally.n
