"""Proof by enumeration: run the shipped code once per branch of its randomness and add up exact probabilities."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from functools import partial
from itertools import combinations_with_replacement
from typing import TypeVar

from client_sdk.errors import MechanismError
from client_sdk.mechanisms.base import Mechanism, exponential, logarithm
from client_sdk.mechanisms.permanent import PermanentMechanism
from client_sdk.mechanisms.rappor import Rappor
from client_sdk.randomness import Randomness

Outcome = TypeVar("Outcome")
Distribution = Mapping[Outcome, Fraction]

TIGHT = 1e-9  # a mechanism that gives away less than this much epsilon uses it fully


class _Branch(Randomness):
    """Follows a path of choices, and goes on with the first choice where the path ends."""

    def __init__(self, path: list[tuple[int, int]]) -> None:
        self.path = path  # (choice, choices) of every draw so far
        self.depth = 0
        self.favourable = self.outcomes = 1

    def word(self) -> int:
        raise MechanismError("only draws through `below` and `coin` can be enumerated")

    def below(self, n: int) -> int:
        self.outcomes *= n
        return self._choose(n)

    def coin(self, favourable: int, outcomes: int) -> bool:
        if not 0 < favourable < outcomes:
            return favourable == outcomes
        heads = self._choose(2) == 0
        self.favourable *= favourable if heads else outcomes - favourable
        self.outcomes *= outcomes
        return heads

    def _choose(self, choices: int) -> int:
        if self.depth == len(self.path):
            self.path.append((0, choices))
        self.depth += 1
        return self.path[self.depth - 1][0]


def distribution(draw: Callable[[Randomness], Outcome]) -> dict[Outcome, Fraction]:
    """The exact distribution of `draw`, which is called once per branch of the randomness it is handed.

    Time grows with the number of branches: the product of n over its `below(n)`, times 2 for each coin. MechanismError
    if it takes random words directly.
    """
    found: dict[Outcome, Fraction] = {}
    path: list[tuple[int, int]] = []
    while True:
        branch = _Branch(path)
        outcome = draw(branch)
        found[outcome] = found.get(outcome, Fraction(0)) + Fraction(branch.favourable, branch.outcomes)
        while path and path[-1][0] + 1 == path[-1][1]:
            path.pop()
        if not path:
            return found
        path[-1] = (path[-1][0] + 1, path[-1][1])


def largest_ratio(distributions: Iterable[Distribution[Outcome]]) -> Fraction | float:
    """How many times likelier an outcome is under one of the distributions than under another; maybe infinity."""
    given = list(distributions)
    ratio: Fraction | float = Fraction(1)
    for outcome in {outcome for one in given for outcome in one}:
        chances = [one.get(outcome, Fraction(0)) for one in given]
        if min(chances) > 0:
            ratio = max(ratio, max(chances) / min(chances))
        elif max(chances) > 0:
            return math.inf
    return ratio


def repeated(
    permanent: Distribution[int], reports: Mapping[int, Distribution[int]], times: int
) -> dict[tuple[int, ...], Fraction]:
    """The chance of each sequence of so many reports of one answer; sorted ones only, as any order is as likely.

    permanent: of the permanent symbol; reports: of one report, for every permanent symbol.
    """
    symbols = sorted({symbol for one in reports.values() for symbol in one})
    nothing = Fraction(0)
    return {
        seen: sum(
            (
                chance * math.prod(reports[kept].get(symbol, nothing) for symbol in seen)
                for kept, chance in permanent.items()
            ),
            nothing,
        )
        for seen in combinations_with_replacement(symbols, times)
    }


def findings(
    mechanism: Mechanism, epsilon: float, epsilon_permanent: float | None = None, reports: int = 3
) -> list[str]:
    """What is wrong with a mechanism that claims these epsilons, one line each; empty if it keeps its word.

    Enumerates every report and compares exactly: all probability on valid symbols, no log ratio above epsilon, none
    but RAPPOR more than 1e-9 below it, support rates equal to the channel, so that debiasing is exact on average. With
    epsilon_permanent also the permanent draw, and so many reports of one answer together. For small domains: the work
    grows with the number of symbols, with permanent memory with its power 1 + reports.
    """
    values = range(mechanism.domain)
    found: list[str] = []
    one_report = [distribution(partial(mechanism.perturb, value)) for value in values]
    for value, one in enumerate(one_report):
        if sum(one.values()) != 1 or not all(0 <= symbol < mechanism.symbols for symbol in one):
            found.append(f"value {value}: a symbol is outside 0..{mechanism.symbols - 1}")
    tight = not isinstance(mechanism, Rappor)  # its formula is an upper bound where hashes collide
    found += _excess("one report", largest_ratio(one_report), epsilon, tight)
    if tight:
        found += _channel_errors(mechanism, one_report)
    if epsilon_permanent is not None:
        if not isinstance(mechanism, PermanentMechanism):
            return [*found, "there is no permanent memory"]
        draws = [distribution(partial(mechanism.draw, value)) for value in values]
        found += _excess("the permanent symbol", largest_ratio(draws), epsilon_permanent, tight)
        again = {
            kept: distribution(partial(mechanism.repeat, kept)) for kept in {kept for one in draws for kept in one}
        }
        together = [repeated(one, again, reports) for one in draws]
        found += _excess(f"{reports} reports of one answer", largest_ratio(together), epsilon_permanent, False)
    return found


def _excess(what: str, ratio: Fraction | float, epsilon: float, tight: bool) -> list[str]:
    if not isinstance(ratio, Fraction):
        return [f"{what} can rule a value out"]
    if ratio > Fraction(exponential(epsilon)):
        return [f"{what} tells {logarithm(ratio):.12g}, more than the {epsilon:g} claimed"]
    if tight and logarithm(ratio) < epsilon - TIGHT:
        return [f"{what} tells {logarithm(ratio):.12g}, less than the {epsilon:g} claimed: accuracy is given away"]
    return []


def _channel_errors(mechanism: Mechanism, one_report: Sequence[Distribution[int]]) -> list[str]:
    channel = mechanism.exact_channel
    errors = []
    for truth, one in enumerate(one_report):
        for value in range(mechanism.domain):
            rate = sum(chance for symbol, chance in one.items() if mechanism.supports(symbol, value))
            expected = channel.p if value == truth else channel.q
            if rate != expected:
                errors.append(
                    f"value {value} is supported at the rate {float(rate):.12g} when the truth is {truth}, "
                    f"its channel says {float(expected):.12g}"
                )
    return errors
