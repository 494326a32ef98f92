"""Random branches of every value: each must have exactly the probability that theory gives its symbol.

An exact row needs as many runs as there are symbols. If exact rows of all values take too long, a few random branches
of each value still find most mistakes, because the probability of a branch is exact, not estimated.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from random import Random

from hushtally.client_sdk.errors import MechanismError
from hushtally.client_sdk.mechanisms import BaselineMechanism, Mechanism, Permanent, PermanentMechanism, Rappor, Unary
from hushtally.client_sdk.randomness import Randomness
from hushtally.simulations.audit.rows import Draw
from hushtally.simulations.audit.theory import Theory, bit_probability

MISSED = 1e-6  # the probability of missing the share of wrong branches that `found_share` returns


class RandomBranch(Randomness):
    """Takes each alternative with equal probability. Records the path's exact probability and every n drawn below."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.favourable = self.outcomes = 1
        self.sizes: set[int] = set()

    @property
    def probability(self) -> Fraction:
        """The probability that the device's own draws take this path."""
        return Fraction(self.favourable, self.outcomes)

    def word(self) -> int:
        raise MechanismError("the code takes random words directly; only draws through `below` and `coin` are exact")

    def below(self, n: int) -> int:
        self.outcomes *= n
        self.sizes.add(n)
        return self._random.randrange(n)

    def coin(self, favourable: int, outcomes: int) -> bool:
        if not 0 < favourable < outcomes:
            return favourable == outcomes
        heads = self._random.random() < 0.5
        self.favourable *= favourable if heads else outcomes - favourable
        self.outcomes *= outcomes
        self.sizes.add(outcomes)
        return heads


def found_share(branches: int) -> float:
    """Return the share of wrong branches that this many random branches miss with the probability `MISSED`."""
    return float(1 - MISSED ** (1 / branches))


def wrong_branches(
    mechanism: Mechanism,
    theory: Theory,
    draw: Draw,
    branches: int,
    random: Random,
    progress: Callable[[], object] = lambda: None,
) -> list[str]:
    """Run `branches` random branches of every value; return the first wrong branch as a breach.

    progress: called once per value. Raises MechanismError if the code takes random words directly.
    """
    for value in range(mechanism.domain):
        for _ in range(branches):
            branch = RandomBranch(random)
            symbol = draw(value, branch)
            if breach := _wrong_branch(mechanism, theory, value, symbol, branch.probability):
                return [breach]
        progress()
    return []


def _wrong_branch(mechanism: Mechanism, theory: Theory, value: int, symbol: int, probability: Fraction) -> str | None:
    if not 0 <= symbol < mechanism.symbols:
        return f"segment {value} sends symbol {symbol}, but there are only {mechanism.symbols:,} symbols"
    expected = theory.probability(symbol, value) / theory.branches(symbol, value)
    if probability != expected:
        return (
            f"a branch of segment {value} sends symbol {symbol} with probability {float(probability):.12g};"
            f" the survey's epsilon requires {float(expected):.12g}"
        )
    return None


def wrong_repeats(
    mechanism: PermanentMechanism, expected: PermanentMechanism, branches: int, random: Random
) -> list[str]:
    """Run random branches of `repeat` for random permanent symbols; return the first wrong branch as a breach.

    expected: the mechanism that the survey claims. With probability gamma, a report must be the permanent symbol.
    Otherwise it must be a blank. In RAPPOR, every bit of a report must be drawn anew.
    """
    for _ in range(branches):
        permanent = random.randrange(mechanism.symbols)
        branch = RandomBranch(random)
        try:
            symbol = mechanism.repeat(permanent, branch)
        except (ValueError, IndexError, KeyError):  # the permanent value is not a symbol
            return [f"`repeat` fails for the permanent symbol {permanent}"]
        if not _right_repeat(expected, permanent, symbol, branch):
            return [
                f"a report of the permanent symbol {permanent} is symbol {symbol} with probability"
                f" {float(branch.probability):.12g}, which is not what the survey's two epsilons require"
            ]
    return []


def wrong_later_draws(
    mechanism: PermanentMechanism, expected: PermanentMechanism, theory: Theory, branches: int, random: Random
) -> list[str]:
    """Run random branches of `draw` after random permanent symbols; return the first wrong branch as a breach.

    theory: of a draw without an earlier symbol. A later draw has the same probabilities; only RAPPOR keeps its group.
    """
    for _ in range(branches):
        value, previous = random.randrange(mechanism.domain), random.randrange(mechanism.symbols)
        branch = RandomBranch(random)
        symbol = mechanism.draw(value, branch, previous)
        chance = theory.probability(symbol, value) / theory.branches(symbol, value)
        right = branch.probability == chance
        if isinstance(expected, Rappor):
            right = symbol >> expected.k == previous >> expected.k and branch.probability == expected.m * chance
        if not right:
            return [
                f"after the permanent symbol {previous}, a branch of segment {value} draws symbol {symbol} with"
                f" probability {float(branch.probability):.12g}, which is not what the survey's epsilon_permanent"
                " requires"
            ]
    return []


def _right_repeat(expected: PermanentMechanism, permanent: int, symbol: int, branch: RandomBranch) -> bool:
    if isinstance(expected, Rappor):
        bits = bit_probability(expected, symbol, permanent, expected.q, expected.p)
        return symbol >> expected.k == permanent >> expected.k and branch.probability == bits
    if not isinstance(expected, Permanent):
        return True
    if symbol == permanent and branch.probability == expected.gamma:
        return True
    return branch.probability == (1 - expected.gamma) * _blank_probability(expected.single_report, symbol)


def _blank_probability(once: BaselineMechanism, symbol: int) -> Fraction:
    """Return the probability that a blank is this symbol: uniform for a design, one coin per bit for unary encoding.

    A blank is a report that does not depend on the value.
    """
    if not isinstance(once, Unary):
        return Fraction(1, once.symbols)
    one, chance = Fraction(*once.others), Fraction(1)
    for bit in range(once.domain):
        chance *= one if symbol >> bit & 1 else 1 - one
    return chance
