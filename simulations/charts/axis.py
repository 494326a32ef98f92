"""The axis of a chart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

MARGIN = 0.03  # of an axis, between the outermost value and the frame
MAX_LOG_TICKS = 8
TICK_INTERVALS = 6  # about this many on a linear axis


@dataclass(frozen=True)
class Axis:
    """A linear or logarithmic axis. percent: the values are shares. whole: the ticks are whole numbers only."""

    label: str
    low: float
    high: float
    log: bool = False
    percent: bool = False
    whole: bool = False

    @classmethod
    def over(
        cls, label: str, values: Sequence[float], *, log: bool = False, percent: bool = False, whole: bool = False
    ) -> Axis:
        """Create an axis that contains all values, with a margin. A linear axis also contains zero."""
        if log:
            return cls(label, min(values, default=1.0) / 1.1, max(values, default=1.0) * 1.1, log, percent)
        low, high = min([0.0, *values]), max([0.0, *values])
        margin = MARGIN * (high - low)
        low, high = low - margin if low < 0 else 0.0, high + margin if high > 0 else 0.0
        return cls(label, low, high if low < high else 1.0, log, percent, whole)

    def position(self, value: float) -> float:
        """Return the position of a value: 0 at the low end, 1 at the high end."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    @cached_property
    def ticks(self) -> list[float]:
        """Three to eight round numbers along the axis."""
        return self._log_ticks() if self.log else self._linear_ticks()

    def _log_ticks(self) -> list[float]:
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        for steps in ((1, 2, 5), (1, 3), (1,)):
            candidates = [step * 10.0**power for power in range(first, last + 1) for step in steps]
            inside = [tick for tick in candidates if self.low <= tick <= self.high]
            if len(inside) <= MAX_LOG_TICKS:
                return inside
        return inside[:: math.ceil(len(inside) / MAX_LOG_TICKS)]

    def _linear_ticks(self) -> list[float]:
        interval = (self.high - self.low) / TICK_INTERVALS
        unit = 10.0 ** math.floor(math.log10(interval))
        step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= interval * 0.999)
        step = max(step, 1.0) if self.whole else step
        return [
            step * number for number in range(math.ceil(self.low / step), math.floor(self.high / step * 1.0001) + 1)
        ]

    def text(self, value: float) -> str:
        """Return the label of a value, like "5%", "20k" or "0.5"."""
        if self.percent:
            return f"{100 * value:.4g}%"
        for unit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
            if abs(value) >= unit:
                return f"{value / unit:.4g}{suffix}"
        return f"{value:.4g}"
