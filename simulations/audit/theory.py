"""The probabilities that a mechanism must have, rebuilt from the survey's claim and from public parameters alone.

An audit compares the shipped code with these figures. They do not come from the audited object: a mechanism that lies
about its own epsilon is found.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from hushtally.client_sdk.errors import MechanismError
from hushtally.client_sdk.mechanisms import Mechanism, Permanent, Projective, Rappor, build
from hushtally.client_sdk.mechanisms.channel import Channel
from hushtally.client_sdk.mechanisms.design import Design
from hushtally.client_sdk.mechanisms.unary import Unary


class Theory(ABC):
    """What one draw of a mechanism must look like."""

    channel: Channel | None  # exact; None if values share bits (RAPPOR)
    ratio: Fraction  # the largest ratio of a symbol's probabilities under two values

    @abstractmethod
    def probability(self, symbol: int, value: int) -> Fraction:
        """The probability of a symbol when the true value is `value`."""

    @abstractmethod
    def branches(self, symbol: int, value: int) -> int:
        """How many branches of the code lead to the symbol; all of them are equally likely."""


@dataclass(frozen=True)
class DesignTheory(Theory):
    """A 2-design: a symbol that supports the value is exp(epsilon) times as likely as any other."""

    mechanism: Design

    @property
    def channel(self) -> Channel:  # type: ignore[override]
        return self.mechanism.exact_channel

    @property
    def ratio(self) -> Fraction:  # type: ignore[override]
        return self.mechanism.weights.ratio

    @cached_property
    def _chances(self) -> tuple[Fraction, Fraction]:
        one, weights = self.mechanism, self.mechanism.weights
        total = weights.near * one.symbols_per_value + weights.far * (one.symbols - one.symbols_per_value)
        return Fraction(weights.far, total), Fraction(weights.near, total)

    def probability(self, symbol: int, value: int) -> Fraction:
        return self._chances[self.mechanism.supports(symbol, value)]

    def branches(self, symbol: int, value: int) -> int:
        # a projective symbol stands for the r - 1 multiples of a vector, and each multiple is drawn if it supports
        if isinstance(self.mechanism, Projective) and self.mechanism.supports(symbol, value):
            return self.mechanism.r - 1
        return 1


@dataclass(frozen=True)
class UnaryTheory(Theory):
    """One independent coin per bit: `truth` for the true value's bit, `others` for the rest."""

    mechanism: Unary

    @property
    def channel(self) -> Channel:  # type: ignore[override]
        return self.mechanism.exact_channel

    @property
    def ratio(self) -> Fraction:  # type: ignore[override]
        return self.mechanism.ratio

    def probability(self, symbol: int, value: int) -> Fraction:
        chance = Fraction(1)
        for bit in range(self.mechanism.domain):
            one = Fraction(*(self.mechanism.truth if bit == value else self.mechanism.others))
            chance *= one if symbol >> bit & 1 else 1 - one
        return chance

    def branches(self, symbol: int, value: int) -> int:
        return 1


@dataclass(frozen=True)
class RapporTheory(Theory):
    """The permanent stage of RAPPOR: a uniform group, then one coin per bit."""

    mechanism: Rappor
    channel: None = None

    @property
    def ratio(self) -> Fraction:  # type: ignore[override]
        return self.mechanism.permanent_ratio

    def probability(self, symbol: int, value: int) -> Fraction:
        one = self.mechanism
        bits = one.bits(symbol >> one.k, value)
        return Fraction(1, one.m) * bit_probability(one, symbol, bits, 1 - one.f / 2, one.f / 2)

    def branches(self, symbol: int, value: int) -> int:
        return 1


def bit_probability(rappor: Rappor, symbol: int, bits: int, if_set: Fraction, if_unset: Fraction) -> Fraction:
    """The probability that the k bits of `bits`, each drawn anew, become those of `symbol`."""
    chance = Fraction(1)
    for place in range(rappor.k):
        one = if_set if bits >> place & 1 else if_unset
        chance *= one if symbol >> place & 1 else 1 - one
    return chance


def reference(mechanism: Mechanism, epsilon: float, epsilon_permanent: float | None) -> Mechanism | None:
    """The mechanism that a survey with these claims names; None if no shipped mechanism has this name."""
    parameters = dict(mechanism.parameters)
    try:
        if isinstance(mechanism, Rappor):
            return Rappor(
                mechanism.domain, mechanism.k, mechanism.h, mechanism.m, mechanism.f, mechanism.p, mechanism.q
            )
        return build(mechanism.name, parameters, mechanism.domain, epsilon, epsilon_permanent)
    except MechanismError:
        return None


def theory_of(mechanism: Mechanism | None) -> Theory | None:
    """The theory of one draw: of a report if memory is fresh, of the permanent symbol otherwise."""
    if isinstance(mechanism, Permanent):
        return theory_of(mechanism.permanent_draw)
    if isinstance(mechanism, Rappor):
        return RapporTheory(mechanism)
    if isinstance(mechanism, Unary):
        return UnaryTheory(mechanism)
    if isinstance(mechanism, Design):
        return DesignTheory(mechanism)
    return None
