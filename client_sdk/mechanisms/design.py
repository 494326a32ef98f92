"""Block designs: the family of mechanisms in which symbols correspond to the blocks of a 2-design."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Self, TypeVar

from hushtally.client_sdk.errors import MechanismError
from hushtally.client_sdk.mechanisms.base import MAX_SYMBOLS, BaselineMechanism, Weights, check_domain
from hushtally.client_sdk.mechanisms.channel import Channel
from hushtally.client_sdk.randomness import Randomness

AnyDesign = TypeVar("AnyDesign", bound="Design")

VARIANCE_TOLERANCE = 1e-9  # relative; closer variances count as equal, so that a rounding error never decides


@dataclass(frozen=True)
class Design(BaselineMechanism):
    """A mechanism in which the same number of symbols support each value, and the same number support each pair.

    A symbol that supports the true value has the weight `near`; every other symbol has the weight `far`. Let K be the
    number of symbols, c the number of symbols that support a given value, and i the number of symbols that support both
    of two given values. Then p = e^epsilon c / (e^epsilon c + K - c) and q = (e^epsilon i + c - i) / (e^epsilon c + K -
    c). The baseline is the uniform distribution. A subclass defines which symbols support a value, and draws uniformly
    from the supporting symbols or from the other symbols. Source: Park, Nam & Lee 2023.
    """

    domain: int
    weights: Weights

    def __post_init__(self) -> None:
        check_domain(self.domain)

    @classmethod
    @abstractmethod
    def candidates(cls, domain: int, epsilon: float, max_symbols: int) -> Iterator[Self]:
        """Return the members of the family with at most `max_symbols` symbols that may have the smallest variance."""

    @classmethod
    def best(cls, domain: int, epsilon: float) -> Self:
        """Return the member with the smallest mean variance. Raises MechanismError if the family has no member."""
        found = list(cls.candidates(domain, epsilon, MAX_SYMBOLS))
        if not found:
            raise MechanismError(f"{cls.name} does not exist for {domain:,} segments; use auto")
        return smallest_variance(found)

    @property
    @abstractmethod
    def symbols_per_value(self) -> int:
        """The number of symbols that support a given value (c)."""

    @property
    @abstractmethod
    def symbols_per_pair(self) -> int:
        """The number of symbols that support both of two given values (i)."""

    @abstractmethod
    def draw_supporting(self, value: int, randomness: Randomness) -> int:
        """Draw uniformly from the symbols that support `value`."""

    @abstractmethod
    def draw_other(self, value: int, randomness: Randomness) -> int:
        """Draw uniformly from the symbols that do not support `value`."""

    def draw_baseline(self, randomness: Randomness) -> int:
        return randomness.below(self.symbols)

    @property
    def baseline_rate(self) -> Fraction:
        return Fraction(self.symbols_per_value, self.symbols)

    def with_epsilon(self, epsilon: float) -> Self:
        return replace(self, weights=Weights.of(epsilon))

    @cached_property
    def ratio(self) -> Fraction:
        return self.weights.ratio

    @property
    def sampled(self) -> Mapping[str, object]:
        return {"weights": [self.weights.near, self.weights.far]}

    @cached_property
    def _odds(self) -> tuple[int, int]:
        """The total weight of the supporting symbols, and the total weight of all symbols."""
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


def smallest_variance(designs: Iterable[AnyDesign]) -> AnyDesign:
    """Return the design with the smallest mean variance. Of equal designs, return the first with the fewest symbols."""
    found = [(design.mean_variance(), design) for design in designs]
    limit = min(variance for variance, _ in found) * (1 + VARIANCE_TOLERANCE)
    return min((design for variance, design in found if variance <= limit), key=lambda design: design.symbols)


def nearest_sizes(ideal: float, largest: int) -> range:
    """Return the integers next to `ideal` within 1..largest. A variance with one minimum is smallest at one of them."""
    low = min(max(math.floor(ideal), 1), largest)
    return range(low, min(low + 1, largest) + 1)
