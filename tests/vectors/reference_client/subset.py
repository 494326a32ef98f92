"""The design `subset`: the symbol is the colexicographic rank of a set of values."""

from __future__ import annotations

from math import comb
from typing import Any

from reference_client.words import Words


class Subset:
    def __init__(self, description: dict[str, Any], d: int) -> None:
        self.d, self.w = d, description["w"]
        self.symbols, self.per_value = comb(d, self.w), comb(d - 1, self.w - 1)

    def supports(self, symbol: int, v: int) -> bool:
        return v in members(symbol, self.w)

    def draw(self, v: int, supporting: bool, words: Words) -> int:
        size = self.w - 1 if supporting else self.w
        others = members(words.below(comb(self.d - 1, size)), size)
        return rank([x + 1 if x >= v else x for x in others] + [v] * supporting)


def rank(chosen: list[int]) -> int:
    return sum(comb(member, place) for place, member in enumerate(sorted(chosen), 1))


def members(rank: int, size: int) -> list[int]:
    """The set with this rank, the largest member first."""
    found = []
    for place in range(size, 0, -1):
        member = place - 1
        while comb(member + 1, place) <= rank:
            member += 1
        found.append(member)
        rank -= comb(member, place)
    return found
