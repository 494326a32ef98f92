"""What a mechanism is, and the limits that every one keeps."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from functools import cache, cached_property
from typing import ClassVar, Self

from hushtally.client_sdk.errors import MechanismError
from hushtally.client_sdk.mechanisms.channel import Channel
from hushtally.client_sdk.randomness import Randomness

EPSILON_RANGE = (0.01, 8.0)
MOST_VALUES = 65_536  # the largest domain: a longer list of segments is a key space, not a question
SYMBOLS_AUTO = 2**21  # the most symbols of a mechanism that was chosen automatically
SYMBOLS_NAMED = 2**53 - 1  # of one named by hand: every JSON reader keeps such an integer exact
ONE = 2**32  # the weight of an unfavoured symbol
# Complete, so that neither a context of the app nor its DefaultContext changes what is computed on a device.
EXACT = Context(prec=50, rounding=ROUND_HALF_EVEN, Emin=-999_999, Emax=999_999, clamp=0, traps=[])


@dataclass(frozen=True)
class Weights:
    """The odds of a favoured against another symbol, as two integers: what is sampled is what is debiased."""

    near: int
    far: int

    @staticmethod
    @cache
    def of(epsilon: float) -> Weights:
        """floor(exp(epsilon) 2^32) : 2^32, so that the epsilon in force is never above the one asked for."""
        return Weights(math.floor(EXACT.multiply(exponential(epsilon), ONE)), ONE)

    @property
    def ratio(self) -> Fraction:
        """exp(epsilon) as it is sampled."""
        return Fraction(self.near, self.far)

    @property
    def epsilon(self) -> float:
        """The epsilon in force: at most the one asked for, and less than 2.4e-10 below it."""
        return logarithm(self.ratio)


def exponential(epsilon: float) -> Decimal:
    """exp(epsilon) to 50 digits; MechanismError when epsilon is outside EPSILON_RANGE."""
    low, high = EPSILON_RANGE
    if not low <= epsilon <= high:
        raise MechanismError(f"epsilon must be at least {low} and at most {high:g}, got {epsilon}")
    return Decimal(repr(float(epsilon))).exp(EXACT)


def logarithm(ratio: Fraction) -> float:
    """ln(ratio), rounded once, so that a ratio of at most exp(epsilon) never comes out above epsilon."""
    return float(EXACT.ln(EXACT.divide(Decimal(ratio.numerator), Decimal(ratio.denominator))))


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
    def ratio(self) -> Fraction:
        """exp(epsilon) as it is sampled: no symbol is more times as likely under one value as under another."""

    @cached_property
    def epsilon(self) -> float:
        """What one report may reveal: the largest log ratio of a symbol's probabilities under two values."""
        return logarithm(self.ratio)

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

    @property
    def label(self) -> str:
        """Name and parameters, as people say them."""
        return " ".join([self.name, *(f"{name}={value}" for name, value in self.parameters.items())])

    @property
    @abstractmethod
    def sampled(self) -> Mapping[str, object]:
        """The integers that are sampled, JSON-ready (2^53 and above as text); they enter the survey's digest."""

    @abstractmethod
    def perturb(self, value: int, randomness: Randomness) -> int:
        """A symbol for `value`. The value never leaves the device; the symbol may."""

    @abstractmethod
    def supports(self, symbol: int, value: int) -> bool:
        """Whether `symbol` counts for `value`."""

    def mean_variance(self) -> float:
        """n times the respondents' variance, averaged over the values: what the automatic choice makes least."""
        return float(self.channel.respondents_variance(1 / self.domain, 1))


class Tilted(Mechanism):
    """A mechanism that tilts one fixed distribution, the blank, towards the symbols that support the true value.

    A symbol's probability is its probability as a blank times one of two numbers: the larger if it supports the true
    value. So a report mixed with blanks is the same mechanism with a smaller epsilon, and permanent memory costs
    nothing (see Permanent).
    """

    @abstractmethod
    def blank(self, randomness: Randomness) -> int:
        """A symbol that says nothing about any value."""

    @property
    @abstractmethod
    def blank_rate(self) -> Fraction:
        """How often a blank supports a value."""

    @abstractmethod
    def tilted(self, epsilon: float) -> Self:
        """The same blanks and supports, tilted by another epsilon."""

    @cached_property
    def ratio(self) -> Fraction:
        return tilt(self.exact_channel.p, self.blank_rate)


def tilt(rate: float | Fraction, blank_rate: Fraction) -> Fraction:
    """How much likelier than as a blank supporting symbols are, over the same for others, when they come at `rate`."""
    rate = Fraction(rate)
    return rate * (1 - blank_rate) / ((1 - rate) * blank_rate)
