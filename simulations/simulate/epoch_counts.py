"""The counts of one question in one epoch, which estimates need."""

from __future__ import annotations

from typing import NamedTuple, Self

from hushtally.aggregator.estimate import estimate
from hushtally.aggregator.intervals import Booleans, Floats, Interval, detected, share_interval
from hushtally.aggregator.support import support_counts
from hushtally.aggregator.tally import Integers, Tally
from hushtally.client_sdk.mechanisms import Mechanism, Rappor


class EpochCounts(NamedTuple):
    """The number of reports, and how many reports support each value.

    support: int array of shape (domain,). For rappor, support is None: its values share bits, so it needs the whole
    tally.
    """

    n: int
    support: Integers | None
    tally: Tally | None = None

    @classmethod
    def of(cls, mechanism: Mechanism, tally: Tally) -> Self:
        """Create the counts from a tally."""
        if isinstance(mechanism, Rappor):
            return cls(tally.n, None, tally)
        return cls(tally.n, support_counts(mechanism, tally))

    def estimate(self, mechanism: Mechanism, confidence: float) -> tuple[Floats, Interval, Booleans]:
        """Return the estimated shares, their intervals, and whether each share is distinguishable from zero.

        The counts must contain at least one report.
        """
        if self.support is None:
            assert self.tally is not None
            result = estimate(mechanism, self.tally, confidence)
            return result.estimate, Interval(result.low, result.high), result.detected
        channel, counts = mechanism.channel, (self.support, self.n)
        interval = share_interval(channel, *counts, confidence)
        return channel.debias(*counts), interval, detected(channel, *counts, confidence)
