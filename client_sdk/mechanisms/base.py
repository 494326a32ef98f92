"""The interface of a mechanism, and the limits that all mechanisms share."""

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
MAX_DOMAIN = 65_536  # a longer list of segments would be a key space, not a question
MAX_SYMBOLS = 2**53 - 1  # every JSON reader stores an integer up to this limit exactly
MAX_SYMBOLS_AUTO = 2**21  # the limit for a mechanism that `auto` chooses
WEIGHT_UNIT = 2**32  # the weight of a symbol that does not support the true value
# Every field is set, so that no decimal context of the app changes a result on the device.
DECIMAL_CONTEXT = Context(prec=50, rounding=ROUND_HALF_EVEN, Emin=-999_999, Emax=999_999, clamp=0, traps=[])


@dataclass(frozen=True)
class Weights:
    """The relative probability of two symbols, as two integers: `near` supports the true value, `far` does not.

    The device samples with these integers and the aggregator debiases with them, so both use the same epsilon.
    """

    near: int
    far: int

    @staticmethod
    @cache
    def of(epsilon: float) -> Weights:
        """floor(exp(epsilon) 2^32) : 2^32. Rounding down keeps the effective epsilon at or below the requested one."""
        return Weights(math.floor(DECIMAL_CONTEXT.multiply(exponential(epsilon), WEIGHT_UNIT)), WEIGHT_UNIT)

    @property
    def ratio(self) -> Fraction:
        """The sampled value of exp(epsilon)."""
        return Fraction(self.near, self.far)

    @property
    def epsilon(self) -> float:
        """The effective epsilon: at most the requested one, and less than 2.4e-10 below it."""
        return logarithm(self.ratio)


def exponential(epsilon: float) -> Decimal:
    """Compute exp(epsilon) to 50 digits. Raises MechanismError if epsilon is outside EPSILON_RANGE."""
    check_epsilon("epsilon", epsilon)
    return Decimal(repr(float(epsilon))).exp(DECIMAL_CONTEXT)


def check_epsilon(name: str, epsilon: float) -> None:
    """Raise MechanismError if the epsilon with this name is outside EPSILON_RANGE."""
    low, high = EPSILON_RANGE
    if not low <= epsilon <= high:
        raise MechanismError(f"{name} must be between {low} and {high:g}, got {epsilon}")


def check_domain(domain: int) -> None:
    """Raise MechanismError if no mechanism accepts a domain of this size."""
    if not 2 <= domain <= MAX_DOMAIN:
        raise MechanismError(f"a question must have 2 to {MAX_DOMAIN:,} segments, got {domain:,}")


def logarithm(ratio: Fraction) -> float:
    """Compute ln(ratio) with a single rounding: a ratio of at most exp(epsilon) never gives more than epsilon."""
    return float(DECIMAL_CONTEXT.ln(DECIMAL_CONTEXT.divide(Decimal(ratio.numerator), Decimal(ratio.denominator))))


class Mechanism(ABC):
    """Maps one true value to one random symbol under epsilon-local differential privacy.

    A value is an index into the question's ordered segments, 0 <= value < domain. A symbol is an integer,
    0 <= symbol < symbols. Every symbol is at most exp(epsilon) times as likely under one value as under another.
    The device perturbs with a mechanism, and the aggregator inverts an equal one.
    """

    name: ClassVar[str]
    domain: int

    @property
    @abstractmethod
    def symbols(self) -> int:
        """The number of symbols (K)."""

    @property
    @abstractmethod
    def ratio(self) -> Fraction:
        """The sampled value of exp(epsilon): an upper bound on the likelihood ratio of two values."""

    @cached_property
    def epsilon(self) -> float:
        """The privacy loss of one report: an upper bound on the log likelihood ratio of two values."""
        return logarithm(self.ratio)

    @property
    @abstractmethod
    def exact_channel(self) -> Channel:
        """The channel as Fractions, computed from the sampled integers."""

    @cached_property
    def channel(self) -> Channel:
        """The channel in floating point."""
        return self.exact_channel.to_float()

    @property
    @abstractmethod
    def parameters(self) -> Mapping[str, object]:
        """The parameters that a survey may state. Together with the epsilons they determine the mechanism."""

    @property
    def label(self) -> str:
        """Name and parameters for display, such as `subset w=4`."""
        return " ".join([self.name, *(f"{name}={value}" for name, value in self.parameters.items())])

    @property
    @abstractmethod
    def sampled(self) -> Mapping[str, object]:
        """The integers that are sampled with, as JSON (2^53 and above as strings). They enter the survey's digest."""

    @abstractmethod
    def perturb(self, value: int, randomness: Randomness) -> int:
        """Draw a symbol for `value`. The value never leaves the device; the symbol may."""

    @abstractmethod
    def supports(self, symbol: int, value: int) -> bool:
        """Whether `symbol` counts as support for `value`."""

    def mean_variance(self) -> float:
        """n times the respondents' variance, averaged over the values. The automatic choice minimizes this."""
        return float(self.channel.respondents_variance(1 / self.domain, 1))


class BaselineMechanism(Mechanism):
    """A mechanism that reweights a baseline distribution of symbols, which does not depend on the value.

    The probability of a symbol is its baseline probability times one of two factors: the larger factor if the symbol
    supports the true value. Mixing reports with baseline symbols therefore gives the same mechanism with a smaller
    epsilon. `Permanent` relies on this: permanent memory costs no accuracy.
    """

    @abstractmethod
    def draw_baseline(self, randomness: Randomness) -> int:
        """Draw a symbol that carries no information about the value."""

    @property
    @abstractmethod
    def baseline_rate(self) -> Fraction:
        """The probability that a baseline symbol supports a given value."""

    @abstractmethod
    def with_epsilon(self, epsilon: float) -> Self:
        """The mechanism with the same baseline and the same supports for another epsilon."""

    @cached_property
    def ratio(self) -> Fraction:
        return odds_ratio(self.exact_channel.p, self.baseline_rate)


def odds_ratio(rate: float | Fraction, baseline_rate: Fraction) -> Fraction:
    """The odds of supporting the true value at this rate, divided by the odds at the baseline rate."""
    rate = Fraction(rate)
    return rate * (1 - baseline_rate) / ((1 - rate) * baseline_rate)
