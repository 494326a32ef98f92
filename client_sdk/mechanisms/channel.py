"""The two numbers behind every mechanism, and all that follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from hushtally.client_sdk.errors import MechanismError


@dataclass(frozen=True)
class Channel:
    """How often a report supports a value: p if it is the truth, q if it is not; 0 < q < p < 1.

    p and q are floats, or Fractions where a proof wants exact figures. The methods use only + - * / **, so
    every argument may be a number or an array. Wang, Blocki, Li & Jha 2017 ("pure" protocols).
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
        """Unbiased share of a value from how many of n reports support it.

        supporting: number or array of any shape; n: number >= 1. Returns share(s) that may fall outside [0, 1]:
        clipping would bias them. Wang, Blocki, Li & Jha 2017, eq. 1.
        """
        return self.share(supporting / n)

    def share(self, observed: Any) -> Any:
        """The share of a value whose reports would support it at the rate `observed`; the inverse of `observed`."""
        return (observed - self.q) / self.gain

    def observed(self, share: Any) -> Any:
        """The rate at which reports support a value that `share` of the customers hold."""
        return self.q + self.gain * share

    @property
    def gain(self) -> Any:
        """How much the observed rate moves when the share moves by one: p - q."""
        return self.p - self.q

    def variance(self, share: Any, n: Any) -> Any:
        """Variance of the estimate from n customers sampled from a larger population."""
        rate = self.observed(share)
        return rate * (1 - rate) / (n * self.gain**2)

    def respondents_variance(self, share: Any, n: Any) -> Any:
        """Variance of the estimate for just the n customers who answered, of whom `share` hold the value."""
        noise = share * self.p * (1 - self.p) + (1 - share) * self.q * (1 - self.q)
        return noise / (n * self.gain**2)

    def then(self, one: Any, zero: Any) -> Channel:
        """This channel of a bit, which is then sent as 1 with chance `one` where it came as 1, else with `zero`."""
        return Channel(self.p * one + (1 - self.p) * zero, self.q * one + (1 - self.q) * zero)

    def diluted(self, kept: Any, background: Any) -> Channel:
        """With probability `kept` the report, else a symbol that supports a value at the rate `background`."""
        return Channel(kept * self.p + (1 - kept) * background, kept * self.q + (1 - kept) * background)
