"""Charts: lines over two axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from hushtally.simulations.charts.shapes import (
    ALARM,
    COLOURS,
    FAINT,
    INK,
    Area,
    Point,
    Shape,
    Stroke,
    Words,
    fitted,
    mark,
    width,
)

WIDTH = 640
LEFT, RIGHT, TOP, ROW = 60, 20, 56, 18
PLOT = 250  # height of the plot itself
SIZE = 12  # of words
MOST_LINES = 8
TRUTH = 8  # half the length of the stroke where the truth is
MOST_MARKS = 12  # on one line
LONGEST = 80  # letters of names that stand together
ROOM = 0.03  # of an axis, between the outermost value and the frame


@dataclass(frozen=True)
class Line:
    """A named line through points, from left to right.

    spans: the low and high end of an interval at every point; truths: what y truly is there; neither if empty.
    """

    name: str
    points: Sequence[Point]
    spans: Sequence[Point] = ()
    truths: Sequence[float] = ()


@dataclass(frozen=True)
class Axis:
    """One axis from low to high, by logarithms if `log`; percent: its numbers are shares; whole: no parts of one."""

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
        """An axis that holds zero, unless it is logarithmic, and all values, with room beyond the outermost."""
        if log:
            return cls(label, min(values, default=1.0) / 1.1, max(values, default=1.0) * 1.1, log, percent)
        low, high = min([0.0, *values]), max([0.0, *values])
        room = ROOM * (high - low)
        low, high = low - room if low < 0 else 0.0, high + room if high > 0 else 0.0
        return cls(label, low, high if low < high else 1.0, log, percent, whole)

    def place(self, value: float) -> float:
        """Where a value stands: 0 at the low end, 1 at the high end."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    @cached_property
    def ticks(self) -> list[float]:
        """Round numbers along the axis, three to eight of them."""
        if self.log:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            for steps in ((1, 2, 5), (1, 3), (1,)):
                found = [step * 10.0**power for power in range(first, last + 1) for step in steps]
                inside = [one for one in found if self.low <= one <= self.high]
                if len(inside) <= 8:
                    return inside
            return inside[:: math.ceil(len(inside) / 8)]
        span = (self.high - self.low) / 6
        unit = 10.0 ** math.floor(math.log10(span))
        step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= span * 0.999)
        step = max(step, 1.0) if self.whole else step
        return [
            step * number for number in range(math.ceil(self.low / step), math.floor(self.high / step * 1.0001) + 1)
        ]

    def text(self, value: float) -> str:
        """A number of the axis as people read it."""
        if self.percent:
            return f"{100 * value:.4g}%"
        for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
            if abs(value) >= unit:
                return f"{value / unit:.4g}{name}"
        return f"{value:.4g}"


@dataclass(frozen=True)
class Chart:
    """Lines over two axes; limit: a level of y to compare with, and its name; key: what the marks on intervals are."""

    title: str
    x: Axis
    y: Axis
    lines: Sequence[Line]
    limit: tuple[float, str] | None = None
    key: str = ""

    width = WIDTH

    @property
    def height(self) -> int:
        """How many pixels high it is, with its legend."""
        return TOP + PLOT + 48 + ROW * math.ceil(len(self.lines) / self.columns)

    @property
    def columns(self) -> int:
        """In how many columns the names of the lines stand."""
        return 1 if any(width(line.name, SIZE) > _room(2) for line in self.lines) else 2

    @property
    def shapes(self) -> list[Shape]:
        """What draws it."""
        return [*_frame(self), *_limit(self), *_lines(self), *_legend(self)]

    @property
    def description(self) -> str:
        """The chart in words, for who cannot see it."""
        ends = "; ".join(
            f"{line.name}: "
            + " to ".join(
                f"{self.y.text(y)} at {self.x.text(x)}" for x, y in dict.fromkeys((line.points[0], line.points[-1]))
            )
            + (f", truth {self.y.text(line.truths[0])} to {self.y.text(line.truths[-1])}" if line.truths else "")
            for line in self.lines
        )
        limit = f" {self.limit[1]}: {self.y.text(self.limit[0])}." if self.limit else ""
        return f"{self.y.label} against {self.x.label}.{limit} {ends}."


def distinct(lines: Sequence[Line]) -> list[Line]:
    """Lines of which none hides another: equal ones are one, with all their names."""
    names: dict[tuple[Point, ...], list[str]] = {}
    for line in lines:
        names.setdefault(tuple(line.points), []).append(line.name)
    return [Line(_together(equal), points) for points, equal in names.items()]


def _together(names: Sequence[str]) -> str:
    words = ", ".join(names)
    return words if len(words) <= LONGEST or len(names) == 1 else f"{names[0]} and {len(names) - 1} more alike"


def _spot(chart: Chart, x: float, y: float) -> Point:
    return (
        LEFT + chart.x.place(x) * (WIDTH - LEFT - RIGHT),
        TOP + (1 - min(max(chart.y.place(y), 0.0), 1.0)) * PLOT,
    )


def _frame(chart: Chart) -> list[Shape]:
    found: list[Shape] = [
        Words((LEFT - 44, 20), fitted(chart.title, 15, WIDTH - LEFT), size=15, bold=True),
        Words((LEFT - 44, 42), chart.y.label),
        Words((WIDTH - RIGHT, TOP + PLOT + 36), chart.x.label, anchor="end"),
    ]
    if chart.key:
        found.append(Words((WIDTH - RIGHT, 42), f"mark: {chart.key}; stroke: truth", anchor="end"))
    for tick in chart.y.ticks:
        y = _spot(chart, chart.x.low, tick)[1]
        found += [
            Stroke([(LEFT, y), (WIDTH - RIGHT, y)], FAINT),
            Words((LEFT - 6, y + 4), chart.y.text(tick), anchor="end"),
        ]
    for tick in chart.x.ticks:
        x = _spot(chart, tick, chart.y.low)[0]
        found += [
            Stroke([(x, TOP + PLOT), (x, TOP + PLOT + 4)], INK),
            Words((x, TOP + PLOT + 18), chart.x.text(tick), anchor="middle"),
        ]
    return [*found, Stroke([(LEFT, TOP), (LEFT, TOP + PLOT), (WIDTH - RIGHT, TOP + PLOT)], INK)]


def _limit(chart: Chart) -> list[Shape]:
    if chart.limit is None:
        return []
    value, name = chart.limit
    y = _spot(chart, chart.x.low, value)[1]
    return [
        Stroke([(LEFT, y), (WIDTH - RIGHT, y)], ALARM, 1.5),
        Words((LEFT + 8, y - 5 if y > TOP + 20 else y + 15), name, ALARM),  # at the top below it
    ]


def _lines(chart: Chart) -> list[Shape]:
    found: list[Shape] = []
    for number, line in enumerate(chart.lines):
        colour = COLOURS[number % len(COLOURS)]
        aside = _aside(chart, number)
        spots = [(x + aside, y) for x, y in (_spot(chart, *point) for point in line.points)]
        for (x, _), ends in zip(spots, line.spans, strict=bool(line.spans)):
            found.append(Stroke([(x, _spot(chart, 0, end)[1]) for end in ends], colour, 1))
        for (x, _), truth in zip(spots, line.truths, strict=bool(line.truths)):
            y = _spot(chart, 0, truth)[1]
            reach = min(TRUTH, max(_step(chart) / 2, 3.0))
            found.append(Stroke([(x - reach, y), (x + reach, y)], colour, 3))
        found.append(Stroke(spots, colour, 1 if line.spans else 2))
        marked = list(dict(spots).items())  # one for every place along the axis, where steps rise the upper
        # of lines that run together each shows its marks, at other places than its neighbours
        step = 1 if line.spans else math.ceil(len(marked) / MOST_MARKS)
        found += [Area(mark(number, spot), colour) for spot in marked[number % step :: step]]
    return found


def _aside(chart: Chart, number: int) -> float:
    """How far a line with intervals is moved to the right, so that those of one place stand side by side."""
    return (number - (len(chart.lines) - 1) / 2) * _step(chart) if chart.lines[number].spans else 0.0


def _step(chart: Chart) -> float:
    room = (WIDTH - LEFT - RIGHT) / (chart.x.high - chart.x.low)
    return min(3.0 * TRUTH, 0.8 * room / len(chart.lines))


def _room(columns: int) -> float:
    """How many pixels long the name of a line may be."""
    return (WIDTH - LEFT) / columns - 40


def _legend(chart: Chart) -> list[Shape]:
    found: list[Shape] = []
    for number, line in enumerate(chart.lines):
        colour = COLOURS[number % len(COLOURS)]
        x = LEFT + number % chart.columns * (WIDTH - LEFT) / 2
        y = TOP + PLOT + 56 + ROW * (number // chart.columns)
        found += [Stroke([(x, y - 4), (x + 24, y - 4)], colour, 2), Area(mark(number, (x + 12, y - 4)), colour)]
        found.append(Words((x + 32, y), fitted(line.name, SIZE, _room(chart.columns))))
    return found
