"""The channel of a mechanism: its two probabilities p and q, and every formula that follows from them.

This is the only file that debiases. All mechanisms, statistics and simulations share these formulas.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from hushtally.client_sdk.errors import MechanismError


@dataclass(frozen=True)
class Channel:
    """The probability that a report supports a value: p if the value is true, q if it is not; 0 < q < p < 1.

    p and q are floats, or Fractions for an exact proof. The methods use only + - * / **, so every argument may be a
    number or an array. Wang, Blocki, Li & Jha 2017 ("pure" protocols).
    """

    p: float | Fraction
    q: float | Fraction

    def __post_init__(self) -> None:
        if not 0 < self.q < self.p < 1:
            raise MechanismError(f"a channel needs 0 < q < p < 1, got p = {self.p}, q = {self.q}")

    def to_float(self) -> Channel:
        """The same channel in floating point."""
        return Channel(float(self.p), float(self.q))

    def debias(self, supporting: Any, n: Any) -> Any:
        """Unbiased estimate of a value's share, from the number of supporting reports among n.

        supporting: number or array of any shape; n: number >= 1. The result may fall outside [0, 1]: clipping would
        bias it. Wang, Blocki, Li & Jha 2017, eq. 1.
        """
        return self.share(supporting / n)

    def share(self, observed: Any) -> Any:
        """The share at which reports support a value at the rate `observed`. Inverts the method `observed`."""
        return (observed - self.q) / self.gain

    def observed(self, share: Any) -> Any:
        """The rate at which reports support a value that is true for `share` of the customers."""
        return self.q + self.gain * share

    @property
    def gain(self) -> Any:
        """The change of the observed rate when the share changes by one: p - q."""
        return self.p - self.q

    def variance(self, share: Any, n: Any) -> Any:
        """Variance of the estimate if the n customers are a sample of a larger population."""
        rate = self.observed(share)
        return rate * (1 - rate) / (n * self.gain**2)

    def covariance(self, support: Any, n: Any) -> Any:
        """Covariance of two estimates from n reports whose supports have the covariance `support` within one report."""
        return support / (n * self.gain**2)

    def respondents_variance(self, share: Any, n: Any) -> Any:
        """Variance of the estimate for the n respondents themselves; the value is true for `share` of them."""
        noise = share * self.p * (1 - self.p) + (1 - share) * self.q * (1 - self.q)
        return noise / (n * self.gain**2)

    def then(self, one: Any, zero: Any) -> Channel:
        """The channel of a bit that this channel sends first, and a second channel after it.

        one, zero: the probability that the second channel outputs 1 if its input is 1, and if its input is 0.
        """
        return Channel(self.p * one + (1 - self.p) * zero, self.q * one + (1 - self.q) * zero)

    def mixed(self, kept: Any, background: Any) -> Channel:
        """The channel that sends the report with probability `kept`, and a background symbol otherwise.

        background: the probability that a background symbol supports a value.
        """
        return Channel(kept * self.p + (1 - kept) * background, kept * self.q + (1 - kept) * background)
