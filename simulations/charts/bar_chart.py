"""Bar charts: a column of estimates, each with its interval and the true value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from hushtally.simulations.charts.axis import Axis
from hushtally.simulations.charts.shapes import (
    ALARM,
    COLOURS,
    FAINT,
    INK,
    MUTED,
    Polygon,
    Polyline,
    Shape,
    Text,
    marker,
    text_width,
    truncated,
)

WIDTH, MARGIN, ROW, GAP, TOP = 760, 12, 20, 14, 66
RIGHT = 110  # room for the figures
TITLE_SIZE, SIZE = 15, 13
HALF_BAR = 3  # half the height of a bar
NAME_WIDTH = (84, 300)  # minimum and maximum width of the names, in pixels
BLUE, BAR, RED = COLOURS[0], "#a9cde6", "#c8553d"


@dataclass(frozen=True)
class Bar:
    """The estimate of one share, its interval, and the true value."""

    name: str
    estimate: float
    low: float
    high: float
    truth: float

    @property
    def misses(self) -> bool:
        """Whether the true value is outside the interval."""
        return not self.low <= self.truth <= self.high


@dataclass(frozen=True)
class Group:
    """The bars of one question, with a subtitle."""

    name: str
    subtitle: str
    bars: Sequence[Bar]


@dataclass(frozen=True)
class BarChart:
    """Groups of bars on one axis. key: the meaning of a dot and its bar. truth_key: the meaning of a red line."""

    title: str
    key: str
    groups: Sequence[Group]
    truth_key: str = "true value; outside: a miss"

    width = WIDTH

    @property
    def height(self) -> int:
        """The height in pixels."""
        rows = sum(1 + len(group.bars) for group in self.groups)
        return TOP + ROW * rows + GAP * len(self.groups) + 2 * MARGIN

    @property
    def description(self) -> str:
        """All figures of the chart in words."""
        return "; ".join(
            f"{group.name} {bar.name}: true value {bar.truth:.1%}, estimate {bar.estimate:z.1%},"
            f" interval {bar.low:z.1%} to {bar.high:z.1%}{', a miss' if bar.misses else ''}"
            for group in self.groups
            for bar in group.bars
        )

    @cached_property
    def axis(self) -> Axis:
        """The axis of the shares, which contains zero, all intervals and all true values."""
        bars = [bar for group in self.groups for bar in group.bars]
        return Axis.over("", [end for bar in bars for end in (bar.low, bar.high, bar.truth)], percent=True)

    @property
    def shapes(self) -> list[Shape]:
        """The shapes of the chart."""
        shapes: list[Shape] = [*self._legend(), *self._grid()]
        y = TOP
        for group in self.groups:
            y += ROW
            room = WIDTH - 3 * MARGIN - text_width(group.subtitle, SIZE)
            shapes += [
                Text((MARGIN, y), truncated(group.name, SIZE, room), size=SIZE, bold=True),
                Text((WIDTH - MARGIN, y), group.subtitle, MUTED, SIZE, "end"),
            ]
            for bar in group.bars:
                y += ROW
                shapes += self._bar(bar, y)
            y += GAP
        return shapes

    @cached_property
    def _left(self) -> float:
        """The left end of the axis, to the right of the longest name."""
        longest = max((text_width(bar.name, SIZE) for group in self.groups for bar in group.bars), default=0.0)
        return MARGIN + 16 + min(max(longest, NAME_WIDTH[0]), NAME_WIDTH[1])

    def x(self, share: float) -> float:
        """Return the horizontal position of a share in pixels."""
        return self._left + self.axis.position(share) * (WIDTH - RIGHT - self._left)

    def _legend(self) -> list[Shape]:
        y = 40
        return [
            Text((MARGIN, 20), truncated(self.title, TITLE_SIZE, WIDTH - 2 * MARGIN), size=TITLE_SIZE, bold=True),
            *_box(MARGIN, MARGIN + 28, y - 4),
            Polygon(marker(0, (MARGIN + 14, y - 4), 4), BLUE),
            Text((MARGIN + 36, y), self.key, MUTED, SIZE),
            Polyline([(WIDTH - 270, y - 12), (WIDTH - 270, y + 4)], RED, 3),
            Text((WIDTH - 260, y), self.truth_key, MUTED, SIZE),
        ]

    def _grid(self) -> list[Shape]:
        shapes: list[Shape] = []
        bottom = self.height - 2 * MARGIN
        for tick in self.axis.ticks:
            x = self.x(tick)
            shapes.append(Polyline([(x, TOP), (x, bottom)], MUTED if tick == 0 else FAINT))
            shapes += [Text((x, y), self.axis.text(tick), MUTED, anchor="middle") for y in (TOP - 5, bottom + 16)]
        return shapes

    def _bar(self, bar: Bar, y: float) -> list[Shape]:
        middle, truth = y - 4, self.x(bar.truth)
        return [
            Polyline([(self._left, middle), (WIDTH - RIGHT, middle)], FAINT),
            *_box(self.x(bar.low), self.x(bar.high), middle),
            Polygon(marker(0, (self.x(bar.estimate), middle), 4), BLUE),
            Polyline([(truth, middle - 8), (truth, middle + 8)], RED, 3),
            Text((self._left - 10, y), truncated(bar.name, SIZE, NAME_WIDTH[1]), INK, SIZE, "end"),
            Text((WIDTH - MARGIN - 40, y), f"{bar.estimate:z.1%}", INK, SIZE, "end"),
            *([Text((WIDTH - MARGIN, y), "miss", ALARM, SIZE, "end")] if bar.misses else []),
        ]


def _box(left: float, right: float, middle: float) -> list[Shape]:
    """Return a bar with an outline, because its colour alone is too pale on white."""
    top, bottom = middle - HALF_BAR, middle + HALF_BAR
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return [Polygon(corners, BAR), Polyline([*corners, corners[0]], BLUE)]
