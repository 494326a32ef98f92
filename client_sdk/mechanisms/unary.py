"""Unary encoding: the symbol has one bit per value, and every bit is randomized independently."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import ClassVar, Self

from hushtally.client_sdk.errors import MechanismError
from hushtally.client_sdk.mechanisms.base import (
    DECIMAL_CONTEXT,
    MAX_SYMBOLS,
    WEIGHT_UNIT,
    BaselineMechanism,
    Weights,
    check_domain,
    exponential,
)
from hushtally.client_sdk.mechanisms.channel import Channel
from hushtally.client_sdk.randomness import Randomness

MAX_BITS = MAX_SYMBOLS.bit_length() - 1


@dataclass(frozen=True)
class Unary(BaselineMechanism):
    """The symbol has d bits; bit v (worth 2^v) belongs to value v.

    A coin (k, n) gives 1 with probability k / n. The coin `truth` draws the bit of the true value, so p = k / n of
    `truth`. The coin `others` draws every other bit, so q = k / n of `others`. Bits are drawn from the lowest up. All
    bits of a baseline symbol come from `others`. Every bit costs a word of randomness, and there are 2^d symbols, so
    d <= 52. Unary encoding is for comparison and compatibility. Wang, Blocki, Li & Jha 2017.
    """

    domain: int
    truth: tuple[int, int]
    others: tuple[int, int]

    def __post_init__(self) -> None:
        check_domain(self.domain)
        if self.domain > MAX_BITS:
            raise MechanismError(f"{self.name} accepts at most {MAX_BITS} segments, got {self.domain:,}; use auto")

    @classmethod
    @abstractmethod
    def of(cls, domain: int, epsilon: float) -> Self:
        """The mechanism with a privacy loss of at most epsilon per report."""

    @property
    def symbols(self) -> int:
        return int(2**self.domain)

    @property
    def parameters(self) -> Mapping[str, object]:
        return {}

    @property
    def sampled(self) -> Mapping[str, object]:
        return {"truth": list(self.truth), "others": list(self.others)}

    @cached_property
    def exact_channel(self) -> Channel:
        return Channel(Fraction(*self.truth), self.baseline_rate)

    @property
    def baseline_rate(self) -> Fraction:
        return Fraction(*self.others)

    def with_epsilon(self, epsilon: float) -> Self:
        # The odds of the true value's bit are exp(epsilon) times the odds of any other bit.
        ones, total = self.others
        weights = Weights.of(epsilon)
        odds = Fraction(weights.near * ones, weights.far * (total - ones))
        return replace(self, truth=(odds.numerator, odds.numerator + odds.denominator))

    def perturb(self, value: int, randomness: Randomness) -> int:
        return self._bits([self.truth if v == value else self.others for v in range(self.domain)], randomness)

    def draw_baseline(self, randomness: Randomness) -> int:
        return self._bits([self.others] * self.domain, randomness)

    @staticmethod
    def _bits(coins: list[tuple[int, int]], randomness: Randomness) -> int:
        return sum(randomness.coin(*coin) << v for v, coin in enumerate(coins))

    def supports(self, symbol: int, value: int) -> bool:
        return bool(symbol >> value & 1)


@dataclass(frozen=True)
class Symmetric(Unary):
    """Symmetric unary encoding: every bit is flipped with the same probability.

    p = e^(epsilon/2) / (e^(epsilon/2) + 1) and q = 1 / (e^(epsilon/2) + 1). The same as basic one-time RAPPOR:
    Erlingsson, Pihur & Korolova 2014.
    """

    name: ClassVar[str] = "sue"

    @classmethod
    def of(cls, domain: int, epsilon: float) -> Self:
        root = math.floor(DECIMAL_CONTEXT.multiply(DECIMAL_CONTEXT.sqrt(exponential(epsilon)), WEIGHT_UNIT))
        return cls(domain, (root, root + WEIGHT_UNIT), (WEIGHT_UNIT, root + WEIGHT_UNIT))


@dataclass(frozen=True)
class Optimized(Unary):
    """Optimized unary encoding: p = 1/2 and q = 1 / (e^epsilon + 1). Wang, Blocki, Li & Jha 2017."""

    name: ClassVar[str] = "oue"

    @classmethod
    def of(cls, domain: int, epsilon: float) -> Self:
        weights = Weights.of(epsilon)
        return cls(domain, (1, 2), (weights.far, weights.near + weights.far))
