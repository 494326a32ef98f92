"""Unary encoding: one bit per value, each flipped by its own coin."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import ClassVar, Self

from hushtally.client_sdk.errors import MechanismError
from hushtally.client_sdk.mechanisms.base import EXACT, ONE, SYMBOLS_NAMED, Tilted, Weights, exponential
from hushtally.client_sdk.mechanisms.channel import Channel
from hushtally.client_sdk.randomness import Randomness


@dataclass(frozen=True)
class Unary(Tilted):
    """The symbol is d bits, that of value v worth 2^v: coin `truth` draws the true value's bit, `others` the rest.

    A coin (k, n) shows 1 with probability k / n; the lowest bit is drawn first. A blank is d bits from `others`. One
    word of randomness per bit and 2^d symbols: for comparison and compatibility, d <= 52. Wang, Blocki, Li & Jha 2017.
    """

    domain: int
    truth: tuple[int, int]
    others: tuple[int, int]

    def __post_init__(self) -> None:
        if not 2 <= self.domain <= SYMBOLS_NAMED.bit_length() - 1:
            raise MechanismError(
                f"{self.name} has one bit per value and needs 2 to {SYMBOLS_NAMED.bit_length() - 1} values, "
                f"got {self.domain:,}; auto fits"
            )

    @classmethod
    @abstractmethod
    def of(cls, domain: int, epsilon: float) -> Self:
        """The mechanism whose one report tells at most epsilon."""

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
        return Channel(Fraction(*self.truth), self.blank_rate)

    @property
    def blank_rate(self) -> Fraction:
        return Fraction(*self.others)

    def tilted(self, epsilon: float) -> Self:
        # odds of a true bit = exp(epsilon) x odds of another bit
        ones, total = self.others
        weights = Weights.of(epsilon)
        odds = Fraction(weights.near * ones, weights.far * (total - ones))
        return replace(self, truth=(odds.numerator, odds.numerator + odds.denominator))

    def perturb(self, value: int, randomness: Randomness) -> int:
        return self._bits([self.truth if v == value else self.others for v in range(self.domain)], randomness)

    def blank(self, randomness: Randomness) -> int:
        return self._bits([self.others] * self.domain, randomness)

    @staticmethod
    def _bits(coins: list[tuple[int, int]], randomness: Randomness) -> int:
        return sum(randomness.coin(*coin) << v for v, coin in enumerate(coins))

    def supports(self, symbol: int, value: int) -> bool:
        return bool(symbol >> value & 1)


@dataclass(frozen=True)
class Symmetric(Unary):
    """SUE: every bit is flipped with the same probability 1 / (e^(epsilon/2) + 1). Basic one-time RAPPOR (2014)."""

    name: ClassVar[str] = "sue"

    @classmethod
    def of(cls, domain: int, epsilon: float) -> Self:
        root = math.floor(EXACT.multiply(EXACT.sqrt(exponential(epsilon)), ONE))
        return cls(domain, (root, root + ONE), (ONE, root + ONE))


@dataclass(frozen=True)
class Optimized(Unary):
    """OUE: the true bit is a fair coin, any other is set with probability 1 / (e^epsilon + 1). Wang et al. 2017."""

    name: ClassVar[str] = "oue"

    @classmethod
    def of(cls, domain: int, epsilon: float) -> Self:
        weights = Weights.of(epsilon)
        return cls(domain, (1, 2), (weights.far, weights.near + weights.far))
