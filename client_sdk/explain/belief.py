"""What an observer can believe after seeing reports (Bayes bound)."""

from __future__ import annotations

import math

CERTAIN = 0.9999  # from here on no figure tells more


PRIOR = 0.10  # the share of customers for whom the example of what can be concluded is given


def largest_belief(prior: float, epsilon: float) -> float:
    """How sure an observer who was `prior` sure of something can be after reports worth `epsilon` in all.

    prior in [0, 1]; Bayes with the largest likelihood ratio, exp(epsilon).
    """
    return prior / (prior + (1 - prior) * math.exp(-epsilon))


def sureness(share: float) -> str:
    """How sure someone can be, in words, rounded up."""
    return "practically certain" if share > CERTAIN else f"at most {certainty(share)} sure"


def certainty(share: float) -> str:
    """How sure someone can be, in percent, rounded up; near 1 with the digits that matter there."""
    if share > CERTAIN:
        return f"over {CERTAIN:.2%}"
    digits = 0 if share <= 0.98 else 2
    most = math.ceil(share * 10 ** (2 + digits) - 1e-9) / 10**digits  # not up for a hair of a float's
    return f"{most:.{digits}f}%"
