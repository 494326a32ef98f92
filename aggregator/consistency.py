"""Consistent shares: no share is negative, and the shares add up to one."""

from __future__ import annotations

import numpy as np

from hushtally.aggregator.intervals import Floats


def consistent(estimate: Floats) -> Floats:
    """Return the closest point of the probability simplex (least squares). These shares have no interval of their own.

    estimate: float array of shape (d,), d >= 1. Returns an array of the same shape: the same number is subtracted from
    every share, and negative results become zero. Duchi et al. 2008; called Norm-Sub in Wang et al. 2020.
    """
    descending = np.sort(estimate)[::-1]
    excess = (np.cumsum(descending) - 1) / np.arange(1, descending.size + 1)
    subtracted = float(excess[np.flatnonzero(descending > excess)[-1]])
    return np.clip(estimate - subtracted, 0.0, None)
