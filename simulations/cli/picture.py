"""Charts with a file name."""

from __future__ import annotations

from dataclasses import dataclass

from hushtally.simulations.charts.bar_chart import BarChart
from hushtally.simulations.charts.line_chart import LineChart


@dataclass(frozen=True)
class Picture:
    """A chart, and its file name without an extension."""

    name: str
    chart: LineChart | BarChart
