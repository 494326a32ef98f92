"""The required probabilities of a mechanism, calculated only from the survey's claims and public parameters.

An audit compares the shipped code with these probabilities. They do not depend on the audited object. Therefore the
audit finds a mechanism that states a wrong epsilon.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from hushtally.client_sdk.errors import MechanismError
from hushtally.client_sdk.mechanisms import Mechanism, Permanent, Projective, Rappor, build
from hushtally.client_sdk.mechanisms.design import Design
from hushtally.client_sdk.mechanisms.unary import Unary


class Theory(ABC):
    """The exact probabilities of one draw of a mechanism."""

    @abstractmethod
    def probability(self, symbol: int, value: int) -> Fraction:
        """Return the probability of a symbol if the true value is `value`."""

    @abstractmethod
    def branches(self, symbol: int, value: int) -> int:
        """Return the number of branches of the code that lead to the symbol, all with the same probability."""


@dataclass(frozen=True)
class DesignTheory(Theory):
    """A 2-design: a symbol that supports the value is exp(epsilon) times as likely as any other symbol."""

    mechanism: Design

    @cached_property
    def _chances(self) -> tuple[Fraction, Fraction]:
        one, weights = self.mechanism, self.mechanism.weights
        total = weights.near * one.symbols_per_value + weights.far * (one.symbols - one.symbols_per_value)
        return Fraction(weights.far, total), Fraction(weights.near, total)

    def probability(self, symbol: int, value: int) -> Fraction:
        return self._chances[self.mechanism.supports(symbol, value)]

    def branches(self, symbol: int, value: int) -> int:
        # a projective symbol stands for r - 1 multiples of a vector; a supporting symbol has one branch per multiple
        if isinstance(self.mechanism, Projective) and self.mechanism.supports(symbol, value):
            return self.mechanism.r - 1
        return 1


@dataclass(frozen=True)
class UnaryTheory(Theory):
    """One independent coin per bit: `truth` for the bit of the true value, `others` for all other bits."""

    mechanism: Unary

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

    def probability(self, symbol: int, value: int) -> Fraction:
        one = self.mechanism
        bits = one.bits(symbol >> one.k, value)
        return Fraction(1, one.m) * bit_probability(one, symbol, bits, 1 - one.f / 2, one.f / 2)

    def branches(self, symbol: int, value: int) -> int:
        return 1


def bit_probability(rappor: Rappor, symbol: int, bits: int, if_set: Fraction, if_unset: Fraction) -> Fraction:
    """Return the probability that the k bits of `bits`, randomized independently, become the bits of `symbol`."""
    chance = Fraction(1)
    for place in range(rappor.k):
        one = if_set if bits >> place & 1 else if_unset
        chance *= one if symbol >> place & 1 else 1 - one
    return chance


def reference(mechanism: Mechanism, epsilon: float, epsilon_permanent: float | None) -> Mechanism | None:
    """Build the shipped mechanism with this name for the claimed epsilons; None if there is none."""
    try:
        if isinstance(mechanism, Rappor):
            one = mechanism
            return Rappor(one.domain, one.k, one.h, one.m, one.f, one.p, one.q)
        return build(mechanism.name, dict(mechanism.parameters), mechanism.domain, epsilon, epsilon_permanent)
    except MechanismError:
        return None


def theory_of(mechanism: Mechanism | None) -> Theory | None:
    """Return the theory of one draw: a report with fresh memory, or the permanent symbol with permanent memory."""
    if isinstance(mechanism, Permanent):
        return theory_of(mechanism.permanent_draw)
    if isinstance(mechanism, Rappor):
        return RapporTheory(mechanism)
    if isinstance(mechanism, Unary):
        return UnaryTheory(mechanism)
    if isinstance(mechanism, Design):
        return DesignTheory(mechanism)
    return None
