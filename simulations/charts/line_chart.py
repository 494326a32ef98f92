"""Line charts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hushtally.simulations.charts.axis import Axis
from hushtally.simulations.charts.shapes import (
    ALARM,
    COLOURS,
    FAINT,
    INK,
    Point,
    Polygon,
    Polyline,
    Shape,
    Text,
    marker,
    text_width,
    truncated,
)

WIDTH = 640
LEFT, RIGHT, TOP, ROW = 60, 20, 56, 18
PLOT = 250  # height of the plot without title and legend
TITLE_SIZE, SIZE = 15, 12
MAX_LINES = 8
HALF_TRUTH = 8  # half the length of the stroke at a true value
MAX_MARKERS = 12  # on one line
MAX_NAME_LENGTH = 80  # characters for the joined names of one line


@dataclass(frozen=True)
class Line:
    """A named line through points, from left to right.

    intervals: the low and the high end of an interval at every point, or empty. truths: the true value of y at every
    point, or empty.
    """

    name: str
    points: Sequence[Point]
    intervals: Sequence[Point] = ()
    truths: Sequence[float] = ()


@dataclass(frozen=True)
class LineChart:
    """Lines over two axes. limit: a value of y to compare with, and its name. key: the meaning of the markers."""

    title: str
    x: Axis
    y: Axis
    lines: Sequence[Line]
    limit: tuple[float, str] | None = None
    key: str = ""

    width = WIDTH

    @property
    def height(self) -> int:
        """The height in pixels, with the legend."""
        return TOP + PLOT + 48 + ROW * math.ceil(len(self.lines) / self.columns)

    @property
    def columns(self) -> int:
        """The number of columns of the legend: one or two."""
        return 1 if any(text_width(line.name, SIZE) > _name_room(2) for line in self.lines) else 2

    @property
    def shapes(self) -> list[Shape]:
        """The shapes of the chart."""
        lines = [shape for number in range(len(self.lines)) for shape in _line(self, number)]
        return [*_frame(self), *_limit(self), *lines, *_legend(self)]

    @property
    def description(self) -> str:
        """The axes, the limit, and the first and last point of each line, in words."""
        limit = f" {self.limit[1]}: {self.y.text(self.limit[0])}." if self.limit else ""
        return f"{self.y.label} against {self.x.label}.{limit} {'; '.join(map(self._described, self.lines))}."

    def _described(self, line: Line) -> str:
        points = dict.fromkeys((line.points[0], line.points[-1]))
        ends = " to ".join(f"{self.y.text(y)} at {self.x.text(x)}" for x, y in points)
        if not line.truths:
            return f"{line.name}: {ends}"
        return f"{line.name}: {ends}, true value {self.y.text(line.truths[0])} to {self.y.text(line.truths[-1])}"


def merge_equal(lines: Sequence[Line]) -> list[Line]:
    """Merge lines with the same points into one line with all names, because one line would hide the others."""
    names: dict[tuple[Point, ...], list[str]] = {}
    for line in lines:
        names.setdefault(tuple(line.points), []).append(line.name)
    return [Line(_joined(same), points) for points, same in names.items()]


def _joined(names: Sequence[str]) -> str:
    text = ", ".join(names)
    return text if len(text) <= MAX_NAME_LENGTH or len(names) == 1 else f"{names[0]} and {len(names) - 1} equal lines"


def _pixel(chart: LineChart, x: float, y: float) -> Point:
    """Return the pixel at which a point is drawn."""
    return (
        LEFT + chart.x.position(x) * (WIDTH - LEFT - RIGHT),
        TOP + (1 - min(max(chart.y.position(y), 0.0), 1.0)) * PLOT,
    )


def _frame(chart: LineChart) -> list[Shape]:
    """Return the title, the labels and ticks of the axes, and the frame."""
    shapes: list[Shape] = [
        Text((LEFT - 44, 20), truncated(chart.title, TITLE_SIZE, WIDTH - LEFT), size=TITLE_SIZE, bold=True),
        Text((LEFT - 44, 42), chart.y.label),
        Text((WIDTH - RIGHT, TOP + PLOT + 36), chart.x.label, anchor="end"),
    ]
    if chart.key:
        shapes.append(Text((WIDTH - RIGHT, 42), f"marker: {chart.key}; stroke: true value", anchor="end"))
    for tick in chart.y.ticks:
        y = _pixel(chart, chart.x.low, tick)[1]
        shapes += [
            Polyline([(LEFT, y), (WIDTH - RIGHT, y)], FAINT),
            Text((LEFT - 6, y + 4), chart.y.text(tick), anchor="end"),
        ]
    for tick in chart.x.ticks:
        x = _pixel(chart, tick, chart.y.low)[0]
        shapes += [
            Polyline([(x, TOP + PLOT), (x, TOP + PLOT + 4)], INK),
            Text((x, TOP + PLOT + 18), chart.x.text(tick), anchor="middle"),
        ]
    return [*shapes, Polyline([(LEFT, TOP), (LEFT, TOP + PLOT), (WIDTH - RIGHT, TOP + PLOT)], INK)]


def _limit(chart: LineChart) -> list[Shape]:
    if chart.limit is None:
        return []
    value, name = chart.limit
    y = _pixel(chart, chart.x.low, value)[1]
    return [
        Polyline([(LEFT, y), (WIDTH - RIGHT, y)], ALARM, 1.5),
        Text((LEFT + 8, y - 5 if y > TOP + 20 else y + 15), name, ALARM),  # below the line if there is no room above
    ]


def _line(chart: LineChart, number: int) -> list[Shape]:
    """Return the intervals, the true values, the points and the markers of one line."""
    line, colour, shift = chart.lines[number], COLOURS[number % len(COLOURS)], _shift(chart, number)
    pixels = [(x + shift, y) for x, y in (_pixel(chart, *point) for point in line.points)]
    shapes: list[Shape] = []
    for (x, _), ends in zip(pixels, line.intervals, strict=bool(line.intervals)):
        shapes.append(Polyline([(x, _pixel(chart, 0, end)[1]) for end in ends], colour, 1))
    for (x, _), truth in zip(pixels, line.truths, strict=bool(line.truths)):
        y = _pixel(chart, 0, truth)[1]
        half = min(HALF_TRUTH, max(_spacing(chart) / 2, 3.0))
        shapes.append(Polyline([(x - half, y), (x + half, y)], colour, 3))
    shapes.append(Polyline(pixels, colour, 1 if line.intervals else 2))
    marked = list(dict(pixels).items())  # one marker for each x; at a step, the marker is at its end
    # overlapping lines show their markers at different points
    step = 1 if line.intervals else math.ceil(len(marked) / MAX_MARKERS)
    return [*shapes, *(Polygon(marker(number, pixel), colour) for pixel in marked[number % step :: step])]


def _shift(chart: LineChart, number: int) -> float:
    """Return how many pixels a line moves to the right, so that the intervals of one x are side by side."""
    return (number - (len(chart.lines) - 1) / 2) * _spacing(chart) if chart.lines[number].intervals else 0.0


def _spacing(chart: LineChart) -> float:
    """Return the distance between the intervals of one x, in pixels."""
    room = (WIDTH - LEFT - RIGHT) / (chart.x.high - chart.x.low)
    return min(3.0 * HALF_TRUTH, 0.8 * room / len(chart.lines))


def _name_room(columns: int) -> float:
    """Return the width in pixels for the name of a line in a legend with this number of columns."""
    return (WIDTH - LEFT) / columns - 40


def _legend(chart: LineChart) -> list[Shape]:
    shapes: list[Shape] = []
    for number, line in enumerate(chart.lines):
        colour = COLOURS[number % len(COLOURS)]
        x = LEFT + number % chart.columns * (WIDTH - LEFT) / 2
        y = TOP + PLOT + 56 + ROW * (number // chart.columns)
        shapes += [
            Polyline([(x, y - 4), (x + 24, y - 4)], colour, 2),
            Polygon(marker(number, (x + 12, y - 4)), colour),
            Text((x + 32, y), truncated(line.name, SIZE, _name_room(chart.columns))),
        ]
    return shapes
