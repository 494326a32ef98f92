"""Mechanisms that break their epsilon or their channel, each in a way that real implementations did."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from hushtally.client_sdk.mechanisms import Direct, Permanent, Subset
from hushtally.client_sdk.randomness import Randomness


@dataclass(frozen=True)
class LeakedBit(Subset):
    """The lowest bit of the symbol is the lowest bit of the value."""

    def perturb(self, value: int, randomness: Randomness) -> int:
        return super().perturb(value, randomness) // 2 * 2 + value % 2


@dataclass(frozen=True)
class ValueFirst(Subset):
    """The symbol also states the first member of the set, which is the true value if the set contains it."""

    @property
    def symbols(self) -> int:
        return super().symbols * self.w

    @cached_property
    def _odds(self) -> tuple[int, int]:
        supporting = self.weights.near * self.symbols_per_value
        return supporting, supporting + self.weights.far * (super().symbols - self.symbols_per_value)

    @cached_property
    def _draws(self) -> tuple[int, int]:
        return self.symbols_per_value, super().symbols - self.symbols_per_value

    def perturb(self, value: int, randomness: Randomness) -> int:
        rank = super().perturb(value, randomness)
        members = self.members(rank)
        first = members.index(value) if value in members else randomness.below(self.w)
        return rank * self.w + first

    def supports(self, symbol: int, value: int) -> bool:
        return super().supports(symbol // self.w, value)


@dataclass(frozen=True)
class Redrawn(Permanent):
    """The memory stores the value itself, and every report draws new noise."""

    def draw(self, value: int, randomness: Randomness, previous: int | None = None) -> int:
        return value

    def repeat(self, permanent: int, randomness: Randomness) -> int:
        return self.single_report.perturb(permanent, randomness)


@dataclass(frozen=True)
class OffBy2Percent(Direct):
    """The true value is reported 2% more often than the channel says; with `less`, 2% less often."""

    less: bool = False

    def perturb(self, value: int, randomness: Randomness) -> int:
        true, total = self._odds
        probability = Fraction(true, total) * (Fraction(98, 100) if self.less else Fraction(102, 100))
        if randomness.coin(probability.numerator, probability.denominator):
            return self.draw_supporting(value, randomness)
        return self.draw_other(value, randomness)
