"""What a mechanism is, and the family whose symbols are the blocks of a 2-design."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from functools import cache, cached_property
from typing import ClassVar, Self

from client_sdk.channel import Channel
from client_sdk.errors import MechanismError
from client_sdk.randomness import Randomness

EPSILON_RANGE = (0.01, 8.0)
SYMBOLS_AUTO = 2**21  # the most symbols of a mechanism that was chosen automatically
SYMBOLS_NAMED = 2**53 - 1  # of one named by hand: every JSON reader keeps such an integer exact
ONE = 2**32  # the weight of an unfavoured symbol


@dataclass(frozen=True)
class Weights:
    """The odds of a favoured against another symbol, as two integers: what is sampled is what is debiased."""

    near: int
    far: int

    @staticmethod
    @cache
    def of(epsilon: float) -> Weights:
        """floor(exp(epsilon) 2^32) : 2^32, so that the epsilon in force is never above the one asked for."""
        low, high = EPSILON_RANGE
        if not low <= epsilon <= high:
            raise MechanismError(f"epsilon must be at least {low} and at most {high:g}, got {epsilon}")
        return Weights(int(Decimal(repr(float(epsilon))).exp(Context(prec=50)) * ONE), ONE)

    @property
    def ratio(self) -> Fraction:
        """exp(epsilon) as it is sampled."""
        return Fraction(self.near, self.far)

    @property
    def epsilon(self) -> float:
        """The epsilon in force: at most the one asked for, and less than 2.4e-10 below it."""
        return math.log(self.near) - math.log(self.far)


class Mechanism(ABC):
    """Turns one true value of a domain into one symbol, so that no symbol tells values further apart than epsilon.

    A value is an index into the question's ordered segments, 0 <= value < domain; a symbol is an integer,
    0 <= symbol < symbols. The device perturbs with it, the aggregator inverts the same object.
    """

    name: ClassVar[str]
    domain: int

    @property
    @abstractmethod
    def symbols(self) -> int:
        """How many symbols there are (K)."""

    @property
    @abstractmethod
    def epsilon(self) -> float:
        """What one report may reveal: the largest log ratio of a symbol's probabilities under two values."""

    @property
    @abstractmethod
    def exact_channel(self) -> Channel:
        """The channel as Fractions, from the integers that are sampled."""

    @cached_property
    def channel(self) -> Channel:
        """The channel in floating point."""
        return self.exact_channel.to_float()

    @property
    @abstractmethod
    def parameters(self) -> Mapping[str, object]:
        """The parameters that a survey may state by hand; with them and the epsilon the mechanism is fixed."""

    @abstractmethod
    def perturb(self, value: int, randomness: Randomness) -> int:
        """A symbol for `value`. The value never leaves the device; the symbol may."""

    @abstractmethod
    def supports(self, symbol: int, value: int) -> bool:
        """Whether `symbol` counts for `value`."""

    def mean_variance(self) -> float:
        """n times the respondents' variance, averaged over the values: what the automatic choice makes least."""
        return float(self.channel.respondents_variance(1 / self.domain, 1))


@dataclass(frozen=True)
class Design(Mechanism):
    """A mechanism whose every value is supported by equally many symbols, and every pair of values too.

    A symbol that supports the true value has weight `near`, any other `far`. Whoever knows K (symbols), c (symbols
    per value) and i (symbols per pair of values) of such a 2-design knows its privacy and its channel. Park, Nam &
    Lee 2023. Subclasses say which symbols support a value and draw uniformly from them or from the rest.
    """

    domain: int
    weights: Weights

    def __post_init__(self) -> None:
        if self.domain < 2:
            raise MechanismError(f"{self.name} needs a domain of at least 2 values, got {self.domain}")

    @classmethod
    @abstractmethod
    def candidates(cls, domain: int, epsilon: float, most_symbols: int) -> Iterator[Self]:
        """The members of the family that may have the least variance, with at most `most_symbols` symbols."""

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

    @property
    def epsilon(self) -> float:
        return self.weights.epsilon

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


def nearest_sizes(ideal: float, most: int) -> range:
    """The integers on both sides of `ideal` within 1..most: where a variance with one minimum has its least value."""
    low = min(max(math.floor(ideal), 1), most)
    return range(low, min(low + 1, most) + 1)
