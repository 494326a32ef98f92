"""A named chart."""

from __future__ import annotations

from dataclasses import dataclass

from hushtally.simulations.charts.bars import Bars
from hushtally.simulations.charts.lines import Chart


@dataclass(frozen=True)
class Picture:
    """A chart, or bars, with a short name, which becomes its file's name."""

    name: str
    chart: Chart | Bars
