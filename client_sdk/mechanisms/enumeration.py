"""Proof by enumeration: run the shipped code once per branch of its randomness, and add up exact probabilities."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import TypeVar

from hushtally.client_sdk.errors import MechanismError
from hushtally.client_sdk.randomness import Randomness

Outcome = TypeVar("Outcome")
Distribution = Mapping[Outcome, Fraction]

TOLERANCE = 1e-9  # a mechanism is tight if its privacy loss is at most this far below its epsilon


class _Branch(Randomness):
    """Replays a path of choices. Beyond the end of the path, it takes the first choice."""

    def __init__(self, path: list[tuple[int, int]]) -> None:
        self.path = path  # (choice, number of choices) of every draw so far
        self.depth = 0
        self.favourable = self.outcomes = 1

    def word(self) -> int:
        raise MechanismError("enumeration needs draws through `below` and `coin`, but `word` was called")

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
    """The exact distribution of `draw`, which is called once per branch of its randomness.

    The time grows with the number of branches: the product of n over all `below(n)`, times 2 for each coin. Raises
    MechanismError if `draw` takes random words directly.
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
    """The largest likelihood ratio of an outcome under two of the distributions; infinity if one rules it out."""
    given = list(distributions)
    ratio: Fraction | float = Fraction(1)
    for outcome in {outcome for one in given for outcome in one}:
        probabilities = [one.get(outcome, Fraction(0)) for one in given]
        if min(probabilities) > 0:
            ratio = max(ratio, max(probabilities) / min(probabilities))
        elif max(probabilities) > 0:
            return math.inf
    return ratio
