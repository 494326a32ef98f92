"""RAPPOR: Bloom bits with a permanent and an instantaneous stage of noise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from hashlib import sha256
from typing import ClassVar

from hushtally.client_sdk.errors import MechanismError
from hushtally.client_sdk.mechanisms.base import MOST_VALUES, SYMBOLS_NAMED
from hushtally.client_sdk.mechanisms.channel import Channel
from hushtally.client_sdk.mechanisms.permanent import PermanentMechanism
from hushtally.client_sdk.randomness import Randomness

MOST_CANDIDATES = 4_096  # the aggregator solves as many equations
DECIMALS = 9  # of f, p and q: their coins stay small integers, and a float gives them back as they were written


@dataclass(frozen=True)
class Rappor(PermanentMechanism):
    """RAPPOR(k, h, m, f, p, q): symbol = group x 2^k + k bits, of which the value sets h in its group's Bloom filter.

    Permanent stage: a set bit stays 1 with probability 1 - f/2, an unset one becomes 1 with f/2; instantaneous stage:
    a permanent 1 is sent as 1 with probability q, a permanent 0 with p. The group (a "cohort" in RAPPOR's words), one
    of m, is drawn once per device: from then on the previous permanent symbol says which. Bit number
    SHA-256("rappor/<group>/<hash>/<value>", decimal ASCII) [first 8 bytes, big-endian] mod k is set for hash = 0..h-1;
    the value's index is hashed, not its name, as a survey declares its list of segments and their order.

    ratio and permanent_ratio are RAPPOR's own formulas, reached by two values that share no bit in some group; where
    hashes collide less is told. `supports` says that all bits of the value are 1. The channel is that of one bit: as
    values share bits, shares are estimated by regression on `bits`; debiasing counts of `supports` would be wrong.
    Erlingsson, Pihur & Korolova 2014.
    """

    domain: int
    k: int
    h: int
    m: int
    f: Fraction
    p: Fraction
    q: Fraction

    name: ClassVar[str] = "rappor"

    def __post_init__(self) -> None:
        if not 2 <= self.domain <= MOST_VALUES:
            raise MechanismError(f"a question needs 2 to {MOST_VALUES:,} values, got {self.domain:,}")
        if self.domain > MOST_CANDIDATES:
            raise MechanismError(
                f"rappor is decoded for at most {MOST_CANDIDATES:,} values, got {self.domain:,}; auto fits"
            )
        if not 1 <= self.h <= self.k:
            raise MechanismError(f"rappor needs 1 <= h <= k, got h = {self.h}, k = {self.k}")
        if self.m < 1 or self.k > 52 or self.symbols > SYMBOLS_NAMED:
            raise MechanismError(
                f"rappor needs m >= 1 and m 2^k of at most {SYMBOLS_NAMED:,}, got m = {self.m:,}, k = {self.k}; "
                "k = 32, m = 64 fits"
            )
        if self._telling < self.domain:
            k = max(32, self.h)
            fits = math.ceil((self.domain - self._shared) / (k - self._shared))
            raise MechanismError(
                f"rappor with k = {self.k}, h = {self.h}, m = {self.m} can tell at most {self._telling:,} values "
                f"apart, got {self.domain:,}; k = {k}, m = {fits} fits"
            )
        if not 0 < self.f < 1:
            raise MechanismError(f"rappor needs 0 < f < 1, got f = {float(self.f):g}")
        if not 0 <= self.p < self.q <= 1:
            raise MechanismError(f"rappor needs 0 <= p < q <= 1, got p = {float(self.p):g}, q = {float(self.q):g}")
        for name, one in (("f", self.f), ("p", self.p), ("q", self.q)):
            if 10**DECIMALS % one.denominator:
                raise MechanismError(f"{name} of rappor must have at most {DECIMALS} decimals, got {float(one)!r}")

    @property
    def _shared(self) -> int:
        """What the bits of every group tell alike: where a value sets one, that they are one in all."""
        return 1 if self.h == 1 else 0

    @property
    def _telling(self) -> int:
        """How many values the bits of all groups can tell apart at most."""
        return self.m * (self.k - self._shared) + self._shared

    @property
    def symbols(self) -> int:
        return int(self.m * 2**self.k)

    @cached_property
    def _permanent(self) -> Channel:
        return Channel(1 - self.f / 2, self.f / 2)

    @cached_property
    def exact_channel(self) -> Channel:
        """The channel of one bit: how often a bit is sent as 1 when the value sets it, and when it does not."""
        return self._permanent.then(self.q, self.p)

    @cached_property
    def ratio(self) -> Fraction:
        bit = self.exact_channel
        return Fraction(bit.p * (1 - bit.q) / (bit.q * (1 - bit.p))) ** self.h

    @cached_property
    def permanent_ratio(self) -> Fraction:
        return Fraction(self._permanent.p / self._permanent.q) ** (2 * self.h)

    @property
    def parameters(self) -> Mapping[str, object]:
        chances = {"f": float(self.f), "p": float(self.p), "q": float(self.q)}
        return {"k": self.k, "h": self.h, "m": self.m, **chances}

    @property
    def sampled(self) -> Mapping[str, object]:
        coins = {
            "permanent_set": self._permanent.p,
            "permanent_unset": self._permanent.q,
            "set": self.q,
            "unset": self.p,
        }
        return {name: list(Fraction(chance).as_integer_ratio()) for name, chance in coins.items()}

    def bits(self, group: int, value: int) -> int:
        """The k bits that `value` sets in the Bloom filter of `group`."""
        bits = 0
        for number in range(self.h):
            digest = sha256(b"rappor/%d/%d/%d" % (group, number, value)).digest()
            bits |= 1 << int.from_bytes(digest[:8], "big") % self.k
        return bits

    def draw(self, value: int, randomness: Randomness, previous: int | None = None) -> int:
        group = randomness.below(self.m) if previous is None else previous >> self.k
        return self._flip(group << self.k | self.bits(group, value), 1 - self.f / 2, self.f / 2, randomness)

    def repeat(self, permanent: int, randomness: Randomness) -> int:
        return self._flip(permanent, self.q, self.p, randomness)

    def _flip(self, symbol: int, set_chance: Fraction, unset_chance: Fraction, randomness: Randomness) -> int:
        """Each of the k bits drawn anew, the lowest first; the group above them stays."""
        coins = (Fraction(unset_chance).as_integer_ratio(), Fraction(set_chance).as_integer_ratio())
        drawn = symbol >> self.k << self.k
        for place in range(self.k):
            drawn |= randomness.coin(*coins[symbol >> place & 1]) << place
        return drawn

    def supports(self, symbol: int, value: int) -> bool:
        bits = self.bits(symbol >> self.k, value)
        return symbol & bits == bits

    def mean_variance(self) -> float:
        """n times the variance of a share if no two values shared a bit: what a comparison may hold in its favour."""
        return super().mean_variance() / self.h
