"""The automatic choice: the mechanism with the least variance for a domain and an epsilon."""

from __future__ import annotations

import math
from functools import cache

from hushtally.client_sdk.errors import MechanismError
from hushtally.client_sdk.mechanisms.affine import Affine
from hushtally.client_sdk.mechanisms.base import SYMBOLS_AUTO
from hushtally.client_sdk.mechanisms.channel import Channel
from hushtally.client_sdk.mechanisms.design import Design, least, nearest_sizes
from hushtally.client_sdk.mechanisms.direct import Direct
from hushtally.client_sdk.mechanisms.projective import Projective
from hushtally.client_sdk.mechanisms.subset import Subset

FAMILIES: tuple[type[Design], ...] = (Direct, Subset, Affine, Projective)  # on a tie the earlier one
ENOUGH = 1.025  # times the optimum


@cache
def choose(
    domain: int,
    epsilon: float,
    most_symbols: int = SYMBOLS_AUTO,
    families: tuple[type[Design], ...] = FAMILIES,
) -> Design:
    """The design of least mean variance with at most `most_symbols` symbols; on a tie the one with fewer symbols.

    Affine designs in more dimensions have many symbols: only where all others are more than 2.5% above the optimum.
    domain >= 2; epsilon in [0.01, 8]. Raises MechanismError where no family has a member that small.
    """
    found = [one for family in families for one in family.candidates(domain, epsilon, most_symbols)]
    if not found:
        names = " or ".join(family.name for family in families)
        raise MechanismError(f"{names} has no form for {domain:,} values within {most_symbols:,} symbols")
    best = least(found)
    if Affine in families and best.mean_variance() > ENOUGH * optimal_mean_variance(domain, epsilon):
        best = least([best, *Affine.in_space(domain, epsilon, most_symbols)])
    return best


def most_symbols_permanent(domain: int) -> int:
    """The most symbols of an automatic choice with permanent memory: a symbol sent again must be no pseudonym."""
    return max(64 * domain, 2048)


def optimal_mean_variance(domain: int, epsilon: float) -> float:
    """The yardstick: n times the mean variance of subset selection at its best integer size. Ye & Barg 2018."""
    e = math.exp(epsilon)
    sizes = nearest_sizes(domain / (e + 1), domain - 1)
    return min(float(_subset_channel(domain, w, e).respondents_variance(1 / domain, 1)) for w in sizes)


def _subset_channel(d: int, w: int, e: float) -> Channel:
    total = w * e + d - w
    return Channel(w * e / total, (e * w * (w - 1) + (d - w) * w) / ((d - 1) * total))
