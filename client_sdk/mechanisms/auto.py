"""The automatic choice: the mechanism with the smallest variance for a domain and an epsilon."""

from __future__ import annotations

import math
from functools import cache

from hushtally.client_sdk.errors import MechanismError
from hushtally.client_sdk.mechanisms.affine import Affine
from hushtally.client_sdk.mechanisms.base import MAX_SYMBOLS_AUTO
from hushtally.client_sdk.mechanisms.channel import Channel
from hushtally.client_sdk.mechanisms.design import Design, nearest_sizes, smallest_variance
from hushtally.client_sdk.mechanisms.direct import Direct
from hushtally.client_sdk.mechanisms.projective import Projective
from hushtally.client_sdk.mechanisms.subset import Subset

FAMILIES: tuple[type[Design], ...] = (Direct, Subset, Affine, Projective)  # the first wins a tie
ACCEPTABLE_RATIO = 1.025  # of a variance to the optimum


@cache
def choose(
    domain: int,
    epsilon: float,
    max_symbols: int = MAX_SYMBOLS_AUTO,
    families: tuple[type[Design], ...] = FAMILIES,
) -> Design:
    """The design with the smallest mean variance and at most `max_symbols` symbols. Fewer symbols win a tie.

    Affine designs with t > 1 have many symbols. They are considered only if the best other design is more than 2.5%
    above the optimum. domain >= 2; epsilon in [0.01, 8]. Raises MechanismError if no family has a small enough member.
    """
    found = [design for family in families for design in family.candidates(domain, epsilon, max_symbols)]
    if not found:
        names = " or ".join(family.name for family in families)
        raise MechanismError(f"{names} does not exist for {domain:,} segments with at most {max_symbols:,} symbols")
    best = smallest_variance(found)
    if Affine in families and best.mean_variance() > ACCEPTABLE_RATIO * optimal_mean_variance(domain, epsilon):
        best = smallest_variance([best, *Affine.vector_candidates(domain, epsilon, max_symbols)])
    return best


def max_symbols_permanent(domain: int) -> int:
    """The limit on symbols for an automatic choice with permanent memory.

    A device sends its permanent symbol again and again. If there were more symbols, the symbol would identify the
    device.
    """
    return max(64 * domain, 2048)


def optimal_mean_variance(domain: int, epsilon: float) -> float:
    """The optimum to compare with: n times the mean variance of subset selection at its best size. Ye & Barg 2018."""
    e = math.exp(epsilon)
    sizes = nearest_sizes(domain / (e + 1), domain - 1)
    return min(float(_subset_channel(domain, w, e).respondents_variance(1 / domain, 1)) for w in sizes)


def _subset_channel(d: int, w: int, e: float) -> Channel:
    """The channel of subset selection, also for sizes with too many symbols; e is exp(epsilon)."""
    total = w * e + d - w
    return Channel(w * e / total, (e * w * (w - 1) + (d - w) * w) / ((d - 1) * total))
