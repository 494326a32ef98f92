"""Permanent memory: the device draws the randomized answer to a value once, and reuses it in every report."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Self

from hushtally.client_sdk.errors import MechanismError
from hushtally.client_sdk.mechanisms.base import BaselineMechanism, Mechanism, logarithm, odds_ratio
from hushtally.client_sdk.mechanisms.channel import Channel
from hushtally.client_sdk.randomness import Randomness

GAMMA_DENOMINATOR = 2**64  # with 2^32, rounding would cost 1.4e-7 of epsilon at 1,024 values


class PermanentMechanism(Mechanism):
    """A mechanism in two steps: `draw` a permanent symbol once per device and value; `repeat` it for every report.

    Only the result of `repeat` leaves the device. The permanent symbol is stored on the device.
    """

    @property
    @abstractmethod
    def permanent_ratio(self) -> Fraction:
        """The sampled value of exp(epsilon_permanent)."""

    @cached_property
    def epsilon_permanent(self) -> float:
        """The privacy loss of all reports of one answer together, whatever their number."""
        return logarithm(self.permanent_ratio)

    @abstractmethod
    def draw(self, value: int, randomness: Randomness, previous: int | None = None) -> int:
        """Draw the permanent symbol of `value`. It is stored on the device and never sent unchanged.

        previous: an earlier permanent symbol of the same device and question, or None.
        """

    @abstractmethod
    def repeat(self, permanent: int, randomness: Randomness) -> int:
        """Draw the symbol of one report: the permanent symbol with fresh noise."""

    def perturb(self, value: int, randomness: Randomness) -> int:
        return self.repeat(self.draw(value, randomness), randomness)


@dataclass(frozen=True)
class Permanent(PermanentMechanism):
    """Adds permanent memory to a mechanism.

    The privacy loss is epsilon for one report, and epsilon_permanent for all reports of one answer. `single_report` is
    the mechanism for epsilon; `permanent_draw` is the same mechanism for epsilon_permanent and draws the permanent
    symbol. A report is the permanent symbol with probability gamma, and a baseline symbol otherwise. Let s be the
    probability that a baseline symbol supports a value. Then gamma = (p1 - s) / (p2 - s), with p1 of `single_report`
    and p2 of `permanent_draw`, makes one report equal to a report of `single_report`, with its p, its q and its
    variance. gamma is rounded down to a multiple of 2^-64, and the channel is computed from the rounded gamma. If
    epsilon_permanent = epsilon, gamma is 1.

    Permanent memory protects what the answers are: two histories that change at the same times differ by at most
    (number of distinct answers) x epsilon_permanent, however many reports follow. Anyone who can link a device's
    reports may learn whether and when an answer changed. Erlingsson, Pihur & Korolova 2014 describe this memory.
    """

    single_report: BaselineMechanism
    permanent_draw: BaselineMechanism

    @classmethod
    def of(cls, single_report: BaselineMechanism, epsilon_permanent: float) -> Self:
        """Add permanent memory. Raises MechanismError if epsilon_permanent is below the mechanism's epsilon."""
        return cls(single_report, single_report.with_epsilon(epsilon_permanent))

    def __post_init__(self) -> None:
        if self.permanent_draw.ratio < self.single_report.ratio:
            raise MechanismError(
                f"epsilon_permanent must be at least epsilon = {self.single_report.epsilon:.12g}, "
                f"got {self.permanent_draw.epsilon:.12g}"
            )

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.single_report.name

    @property
    def domain(self) -> int:  # type: ignore[override]
        return self.single_report.domain

    @property
    def symbols(self) -> int:
        return self.single_report.symbols

    @property
    def parameters(self) -> Mapping[str, object]:
        return self.single_report.parameters

    @property
    def sampled(self) -> Mapping[str, object]:
        permanent = {f"permanent_{key}": value for key, value in self.permanent_draw.sampled.items()}
        return {**self.single_report.sampled, **permanent, "gamma": str(self._gamma_numerator)}

    @cached_property
    def _gamma_numerator(self) -> int:
        baseline = self.single_report.baseline_rate
        gamma = (self.single_report.exact_channel.p - baseline) / (self.permanent_draw.exact_channel.p - baseline)
        return int(gamma * GAMMA_DENOMINATOR)

    @property
    def gamma(self) -> Fraction:
        """The probability that a report is the permanent symbol itself, not a baseline symbol."""
        return Fraction(self._gamma_numerator, GAMMA_DENOMINATOR)

    @cached_property
    def exact_channel(self) -> Channel:
        return self.permanent_draw.exact_channel.mixed(self.gamma, self.single_report.baseline_rate)

    @cached_property
    def ratio(self) -> Fraction:
        return odds_ratio(self.exact_channel.p, self.single_report.baseline_rate)

    @property
    def permanent_ratio(self) -> Fraction:
        return self.permanent_draw.ratio

    def draw(self, value: int, randomness: Randomness, previous: int | None = None) -> int:
        return self.permanent_draw.perturb(value, randomness)

    def repeat(self, permanent: int, randomness: Randomness) -> int:
        if randomness.coin(self._gamma_numerator, GAMMA_DENOMINATOR):
            return permanent
        return self.single_report.draw_baseline(randomness)

    def supports(self, symbol: int, value: int) -> bool:
        return self.single_report.supports(symbol, value)
