"""Exact rows: the probability of every symbol for one value, calculated by running every branch of the shipped code."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from random import Random

import numpy as np

from hushtally.aggregator.errors import EstimateError
from hushtally.aggregator.support import support_counts
from hushtally.aggregator.tally import Tally
from hushtally.client_sdk.errors import MechanismError
from hushtally.client_sdk.mechanisms import Mechanism, Rappor
from hushtally.client_sdk.mechanisms.base import logarithm
from hushtally.client_sdk.mechanisms.enumeration import distribution, largest_ratio
from hushtally.client_sdk.randomness import Randomness
from hushtally.simulations.audit.theory import Theory

TOLERANCE = 1e-9  # of epsilon and of support rates: the weights of a mechanism are integers over 2^32
MAX_LEVELS = 64  # support rates are computed for rows with at most this many different probabilities

Row = Mapping[int, Fraction]
Draw = Callable[[int, Randomness], int]


class TooManyBranches(Exception):
    """The code has more branches than the audit may run."""


def enumerate_rows(
    draw: Draw, domain: int, budget: int, order: Random, progress: Callable[[], object] = lambda: None
) -> dict[int, Row]:
    """Return the exact rows of as many values as `budget` branches allow, by value.

    The first and the last value come first, then the other values in random order. The result is empty if the first row
    needs more branches than the budget. draw: a mechanism's `perturb` or `draw`. progress: called once per branch.
    Raises MechanismError if the code takes random words directly.
    """
    rows: dict[int, Row] = {}
    left = budget
    for value in _values(domain, order):
        spent = 0

        def counted(randomness: Randomness, value: int = value, most: int = left) -> int:
            nonlocal spent
            spent += 1
            if spent > most:
                raise TooManyBranches
            progress()
            return draw(value, randomness)

        try:
            rows[value] = distribution(counted)
        except TooManyBranches:
            break
        left -= spent
        if left < spent:
            break
    return rows


def _values(domain: int, order: Random) -> Iterator[int]:
    first = dict.fromkeys((0, domain - 1))
    yield from first
    yield from order.sample(range(1, domain - 1), domain - 2) if domain > 2 else ()


def exact_epsilon(rows: Mapping[int, Row]) -> float | None:
    """Return the largest log ratio of a symbol's probabilities for two values; None if it is infinite."""
    ratio = largest_ratio(rows.values())
    return logarithm(ratio) if isinstance(ratio, Fraction) else None


def row_breaches(
    mechanism: Mechanism, theory: Theory | None, rows: Mapping[int, Row], *, rates: bool = True
) -> list[str]:
    """Find mistakes in exact rows: symbols that do not exist, wrong probabilities, biased support rates.

    Returns at most one breach of each kind. rates: whether to check support rates, which only rows of reports have.
    """
    for value, row in rows.items():
        strays = [symbol for symbol in row if not 0 <= symbol < mechanism.symbols]
        if strays:
            return [f"segment {value} sends symbol {min(strays)}, but there are only {mechanism.symbols:,} symbols"]
    found = [] if theory is None else _wrong_probability(theory, rows)
    if rates and not isinstance(mechanism, Rappor):
        found += _wrong_rate(mechanism, rows)
    return found


def _wrong_probability(theory: Theory, rows: Mapping[int, Row]) -> list[str]:
    for value, row in rows.items():
        for symbol, chance in row.items():
            expected = theory.probability(symbol, value)
            if chance != expected:
                return [
                    f"segment {value} sends symbol {symbol} with probability {float(chance):.12g};"
                    f" the survey's epsilon requires {float(expected):.12g}"
                ]
    return []


def _wrong_rate(mechanism: Mechanism, rows: Mapping[int, Row]) -> list[str]:
    """Return the first support rate that differs from p or q of the channel. The aggregator's own code counts them."""
    p, q = float(mechanism.exact_channel.p), float(mechanism.exact_channel.q)
    for value, row in rows.items():
        rates = support_rates(mechanism, row)
        if rates is None:
            continue
        expected = np.full(mechanism.domain, q)
        expected[value] = p
        off = np.abs(rates - expected)
        if off.max() > TOLERANCE:
            worst = int(off.argmax())
            return [
                f"reports support segment {worst} at the rate {rates[worst]:.12g} if the true segment is {value};"
                f" the channel requires {expected[worst]:.12g}, so estimates would be biased"
            ]
    return []


def support_rates(mechanism: Mechanism, row: Row) -> np.ndarray[tuple[int], np.dtype[np.float64]] | None:
    """Return the rate at which a report of this row supports each value: a float array of shape (domain,).

    Returns None if the row has more than MAX_LEVELS different probabilities, or if it cannot be counted.
    A row of a shipped mechanism has few different probabilities. The symbols of each probability form one tally.
    """
    levels: dict[Fraction, list[int]] = {}
    for symbol, chance in row.items():
        levels.setdefault(chance, []).append(symbol)
    if len(levels) > MAX_LEVELS:
        return None
    try:
        return np.asarray(
            sum(float(chance) * support_counts(mechanism, Tally.of(np.array(some))) for chance, some in levels.items())
        )
    except (EstimateError, MechanismError):
        return None
