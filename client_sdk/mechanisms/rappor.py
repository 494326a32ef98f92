"""RAPPOR: a Bloom filter with permanent and instantaneous randomized response."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from hashlib import sha256
from typing import ClassVar

from hushtally.client_sdk.errors import MechanismError
from hushtally.client_sdk.mechanisms.base import MAX_SYMBOLS, check_domain
from hushtally.client_sdk.mechanisms.channel import Channel
from hushtally.client_sdk.mechanisms.permanent import PermanentMechanism
from hushtally.client_sdk.randomness import Randomness

MAX_VALUES = 4_096  # the aggregator solves one equation per value
MAX_DECIMALS = 9  # of f, p and q: their coins stay small integers, and a float represents them exactly as written


@dataclass(frozen=True)
class Rappor(PermanentMechanism):
    """RAPPOR with k bits, h hash functions and m hash groups: the symbol is group x 2^k + bits.

    A value sets h of the k bits in its hash group's Bloom filter (fewer if hashes collide). Permanent stage: a set bit
    stays 1 with probability 1 - f/2, and an unset bit becomes 1 with probability f/2. Instantaneous stage: a permanent
    1 is sent as 1 with probability q, and a permanent 0 with probability p. The channel is that of one bit: its p is
    (1 - f/2) q + (f/2) p, and its q is (f/2) q + (1 - f/2) p. Erlingsson, Pihur & Korolova 2014.

    A device draws its hash group ("cohort" in the paper) once; the previous permanent symbol stores it. For
    hash = 0..h-1, the value sets the bit
    SHA-256("rappor/<group>/<hash>/<value>" in decimal ASCII)[first 8 bytes, big-endian] mod k.
    The value's index is hashed, not its name: a survey declares its segments and their order.

    ratio and permanent_ratio are the formulas of the paper. Two values that share no bit in some group reach them; if
    hashes collide, the privacy loss is smaller. `supports` states that all bits of the value are 1. Values share bits,
    so the aggregator estimates shares by regression on `bits`. Debiasing counts of `supports` would be wrong.
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
        check_domain(self.domain)
        if self.domain > MAX_VALUES:
            raise MechanismError(f"rappor accepts at most {MAX_VALUES:,} segments, got {self.domain:,}; use auto")
        self._check_sizes()
        self._check_probabilities()

    def _check_sizes(self) -> None:
        if not 1 <= self.h <= self.k:
            raise MechanismError(f"rappor must have 1 <= h <= k, got h = {self.h:,}, k = {self.k:,}")
        if self.m < 1 or self.k > 52 or self.symbols > MAX_SYMBOLS:
            raise MechanismError(
                f"rappor must have m >= 1 and m 2^k of at most {MAX_SYMBOLS:,}, got m = {self.m:,}, k = {self.k:,}; "
                "use, for example, k = 32, m = 64"
            )
        if self._distinguishable < self.domain:
            k = max(32, self.h)
            m = math.ceil((self.domain - self._dependent) / (k - self._dependent))
            raise MechanismError(
                f"rappor with k = {self.k}, h = {self.h}, m = {self.m:,} can distinguish at most "
                f"{self._distinguishable:,} segments, got {self.domain:,}; use, for example, k = {k}, m = {m:,}"
            )

    def _check_probabilities(self) -> None:
        if not 0 < self.f < 1:
            raise MechanismError(f"f of rappor must be above 0 and below 1, got {float(self.f):g}")
        if not 0 <= self.p < self.q <= 1:
            raise MechanismError(f"rappor must have 0 <= p < q <= 1, got p = {float(self.p):g}, q = {float(self.q):g}")
        for name, value in (("f", self.f), ("p", self.p), ("q", self.q)):
            if 10**MAX_DECIMALS % value.denominator:
                raise MechanismError(
                    f"{name} of rappor must have at most {MAX_DECIMALS} decimal places, got {float(value)!r}"
                )

    @property
    def _dependent(self) -> int:
        """The number of linear dependencies of a group's bits: with h = 1, the bits of a value sum to one."""
        return 1 if self.h == 1 else 0

    @property
    def _distinguishable(self) -> int:
        """The largest number of values that the bits of all groups can distinguish."""
        return self.m * (self.k - self._dependent) + self._dependent

    @property
    def symbols(self) -> int:
        return int(self.m * 2**self.k)

    @cached_property
    def _permanent(self) -> Channel:
        return Channel(1 - self.f / 2, self.f / 2)

    @cached_property
    def exact_channel(self) -> Channel:
        """The channel of one bit: the probability of sending 1 if the value sets the bit, and if the value does not."""
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
        probabilities = {"f": float(self.f), "p": float(self.p), "q": float(self.q)}
        return {"k": self.k, "h": self.h, "m": self.m, **probabilities}

    @property
    def sampled(self) -> Mapping[str, object]:
        coins = {
            "permanent_set": self._permanent.p,
            "permanent_unset": self._permanent.q,
            "set": self.q,
            "unset": self.p,
        }
        return {name: list(Fraction(probability).as_integer_ratio()) for name, probability in coins.items()}

    def bits(self, group: int, value: int) -> int:
        """The bits that `value` sets in the Bloom filter of `group`, as an integer below 2^k."""
        bits = 0
        for number in range(self.h):
            digest = sha256(b"rappor/%d/%d/%d" % (group, number, value)).digest()
            bits |= 1 << int.from_bytes(digest[:8], "big") % self.k
        return bits

    def draw(self, value: int, randomness: Randomness, previous: int | None = None) -> int:
        group = randomness.below(self.m) if previous is None else previous >> self.k
        return self._randomize(group << self.k | self.bits(group, value), 1 - self.f / 2, self.f / 2, randomness)

    def repeat(self, permanent: int, randomness: Randomness) -> int:
        return self._randomize(permanent, self.q, self.p, randomness)

    def _randomize(self, symbol: int, if_set: Fraction, if_unset: Fraction, randomness: Randomness) -> int:
        """Redraw each of the k bits, from the lowest up. The group stays unchanged.

        if_set, if_unset: the probability that the new bit is 1 if the old bit is 1, and if it is 0.
        """
        coins = (Fraction(if_unset).as_integer_ratio(), Fraction(if_set).as_integer_ratio())
        drawn = symbol >> self.k << self.k
        for place in range(self.k):
            drawn |= randomness.coin(*coins[symbol >> place & 1]) << place
        return drawn

    def supports(self, symbol: int, value: int) -> bool:
        bits = self.bits(symbol >> self.k, value)
        return symbol & bits == bits

    def mean_variance(self) -> float:
        """n times the mean variance if no two values shared a bit: an optimistic figure for comparisons."""
        return super().mean_variance() / self.h
