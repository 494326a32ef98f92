"""The family whose symbols are the blocks of a 2-design."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Self, TypeVar

from hushtally.client_sdk.errors import MechanismError
from hushtally.client_sdk.mechanisms.base import MOST_VALUES, SYMBOLS_NAMED, Tilted, Weights
from hushtally.client_sdk.mechanisms.channel import Channel
from hushtally.client_sdk.randomness import Randomness

AnyDesign = TypeVar("AnyDesign", bound="Design")

TIE = 1e-9  # variances this close are equal: the choice must not hang on the last bits of a float


@dataclass(frozen=True)
class Design(Tilted):
    """A mechanism whose every value is supported by equally many symbols, and every pair of values too.

    A symbol that supports the true value has weight `near`, any other `far`. Whoever knows K (symbols), c (symbols
    per value) and i (symbols per pair of values) of such a 2-design knows its privacy and its channel. Park, Nam &
    Lee 2023. Subclasses say which symbols support a value and draw uniformly from them or from the rest.
    """

    domain: int
    weights: Weights

    def __post_init__(self) -> None:
        if not 2 <= self.domain <= MOST_VALUES:
            raise MechanismError(f"a question needs 2 to {MOST_VALUES:,} values, got {self.domain:,}")

    @classmethod
    @abstractmethod
    def candidates(cls, domain: int, epsilon: float, most_symbols: int) -> Iterator[Self]:
        """The members of the family that may have the least variance, with at most `most_symbols` symbols."""

    @classmethod
    def best(cls, domain: int, epsilon: float) -> Self:
        """The member of least mean variance when the family was named by hand; MechanismError if it does not fit."""
        found = list(cls.candidates(domain, epsilon, SYMBOLS_NAMED))
        if not found:
            raise MechanismError(f"{cls.name} has no form for {domain:,} values; auto fits")
        return least(found)

    @property
    @abstractmethod
    def symbols_per_value(self) -> int:
        """How many symbols support a given value (c)."""

    @property
    @abstractmethod
    def symbols_per_pair(self) -> int:
        """How many symbols support two given values at once (i)."""

    @abstractmethod
    def draw_supporting(self, value: int, randomness: Randomness) -> int:
        """One of the symbols that support `value`, uniformly."""

    @abstractmethod
    def draw_other(self, value: int, randomness: Randomness) -> int:
        """One of the symbols that do not support `value`, uniformly."""

    def blank(self, randomness: Randomness) -> int:
        return randomness.below(self.symbols)

    @property
    def blank_rate(self) -> Fraction:
        return Fraction(self.symbols_per_value, self.symbols)

    def tilted(self, epsilon: float) -> Self:
        return replace(self, weights=Weights.of(epsilon))

    @cached_property
    def ratio(self) -> Fraction:
        return self.weights.ratio

    @property
    def sampled(self) -> Mapping[str, object]:
        return {"weights": [self.weights.near, self.weights.far]}

    @cached_property
    def _odds(self) -> tuple[int, int]:
        supporting = self.weights.near * self.symbols_per_value
        return supporting, supporting + self.weights.far * (self.symbols - self.symbols_per_value)

    def perturb(self, value: int, randomness: Randomness) -> int:
        if randomness.coin(*self._odds):
            return self.draw_supporting(value, randomness)
        return self.draw_other(value, randomness)

    @cached_property
    def exact_channel(self) -> Channel:
        supporting, total = self._odds
        c, i = self.symbols_per_value, self.symbols_per_pair
        return Channel(
            Fraction(supporting, total),
            Fraction(self.weights.near * i + self.weights.far * (c - i), total),
        )


def least(designs: Iterable[AnyDesign]) -> AnyDesign:
    """The design of least mean variance; on a tie the one with fewer symbols, then the earlier one."""
    found = [(one.mean_variance(), one) for one in designs]
    limit = min(variance for variance, _ in found) * (1 + TIE)
    return min((one for variance, one in found if variance <= limit), key=lambda one: one.symbols)


def nearest_sizes(ideal: float, most: int) -> range:
    """The integers on both sides of `ideal` within 1..most: where a variance with one minimum has its least value."""
    low = min(max(math.floor(ideal), 1), most)
    return range(low, min(low + 1, most) + 1)
