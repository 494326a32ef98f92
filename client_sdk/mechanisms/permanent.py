"""Permanent memory: the randomized answer to a value is drawn once and reused."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Self

from hushtally.client_sdk.errors import MechanismError
from hushtally.client_sdk.mechanisms.base import Mechanism, Tilted, logarithm, tilt
from hushtally.client_sdk.mechanisms.channel import Channel
from hushtally.client_sdk.randomness import Randomness

GAMMA_PARTS = 2**64  # 2^32 would cost 1.4e-7 of epsilon at 1,024 values


class PermanentMechanism(Mechanism):
    """A mechanism in two steps: `draw` once per device and value, kept on the device; `repeat` for every report."""

    @property
    @abstractmethod
    def permanent_ratio(self) -> Fraction:
        """exp(epsilon_permanent) as it is sampled."""

    @cached_property
    def epsilon_permanent(self) -> float:
        """What all reports of one answer may reveal together, however many."""
        return logarithm(self.permanent_ratio)

    @abstractmethod
    def draw(self, value: int, randomness: Randomness, previous: int | None = None) -> int:
        """The permanent symbol of `value`, to be kept on the device and never sent as it is.

        previous: an earlier permanent symbol of the same device and question, if there is one.
        """

    @abstractmethod
    def repeat(self, permanent: int, randomness: Randomness) -> int:
        """A report: the permanent symbol with fresh noise on top."""

    def perturb(self, value: int, randomness: Randomness) -> int:
        return self.repeat(self.draw(value, randomness), randomness)


@dataclass(frozen=True)
class Permanent(PermanentMechanism):
    """A mechanism with permanent memory: one report tells epsilon, all reports of one answer epsilon_permanent.

    The permanent symbol is drawn by `lasting`, the mechanism `once` tilted by epsilon_permanent. A report is that
    symbol with probability gamma, else a blank: gamma = (once.p - s) / (lasting.p - s), where s is how often a blank
    supports a value, makes one report exactly a report of `once`, at no cost in variance. gamma is rounded down to an
    integer over 2^64 and the channel computed from it. With epsilon_permanent = epsilon gamma is 1.

    It protects what the answers are: two histories that change at the same times differ by at most (number of
    distinct answers) x epsilon_permanent, for ever. It does not protect whether and when an answer changed from whoever
    can link a device's reports. Erlingsson, Pihur & Korolova 2014 (the memory).
    """

    once: Tilted
    lasting: Tilted

    @classmethod
    def of(cls, once: Tilted, epsilon_permanent: float) -> Self:
        """`once` with permanent memory; MechanismError when epsilon_permanent is below its epsilon."""
        return cls(once, once.tilted(epsilon_permanent))

    def __post_init__(self) -> None:
        if self.lasting.ratio < self.once.ratio:
            raise MechanismError(
                f"epsilon_permanent must be at least the epsilon of one report, {self.once.epsilon:.12g}, "
                f"got {self.lasting.epsilon:.12g}"
            )

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.once.name

    @property
    def domain(self) -> int:  # type: ignore[override]
        return self.once.domain

    @property
    def symbols(self) -> int:
        return self.once.symbols

    @property
    def parameters(self) -> Mapping[str, object]:
        return self.once.parameters

    @property
    def sampled(self) -> Mapping[str, object]:
        lasting = {f"permanent_{key}": value for key, value in self.lasting.sampled.items()}
        return {**self.once.sampled, **lasting, "gamma": str(self._kept)}

    @cached_property
    def _kept(self) -> int:
        blank = self.once.blank_rate
        gamma = (self.once.exact_channel.p - blank) / (self.lasting.exact_channel.p - blank)
        return int(gamma * GAMMA_PARTS)

    @property
    def gamma(self) -> Fraction:
        """How often a report is the permanent symbol itself rather than a blank."""
        return Fraction(self._kept, GAMMA_PARTS)

    @cached_property
    def exact_channel(self) -> Channel:
        return self.lasting.exact_channel.diluted(self.gamma, self.once.blank_rate)

    @cached_property
    def ratio(self) -> Fraction:
        return tilt(self.exact_channel.p, self.once.blank_rate)

    @property
    def permanent_ratio(self) -> Fraction:
        return self.lasting.ratio

    def draw(self, value: int, randomness: Randomness, previous: int | None = None) -> int:
        return self.lasting.perturb(value, randomness)

    def repeat(self, permanent: int, randomness: Randomness) -> int:
        return permanent if randomness.coin(self._kept, GAMMA_PARTS) else self.once.blank(randomness)

    def supports(self, symbol: int, value: int) -> bool:
        return self.once.supports(symbol, value)
