"""Shares that could be true: none negative, one in all."""

from __future__ import annotations

import numpy as np

from hushtally.aggregator.intervals import Floats


def consistent(estimate: Floats) -> Floats:
    """The shares on the simplex that are closest to raw estimates; a second column, without an interval of its own.

    estimate: float array of shape (d,), d >= 1. The same number is taken from every share, and what would fall below
    zero is zero. Duchi et al. 2008; Norm-Sub in Wang et al. 2020.
    """
    falling = np.sort(estimate)[::-1]
    excess = (np.cumsum(falling) - 1) / np.arange(1, falling.size + 1)
    taken = float(excess[np.flatnonzero(falling > excess)[-1]])
    return np.clip(estimate - taken, 0.0, None)
