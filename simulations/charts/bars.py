"""Bars: estimates on their intervals, one below the other, each beside the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from hushtally.simulations.charts.lines import Axis
from hushtally.simulations.charts.shapes import (
    ALARM,
    COLOURS,
    FAINT,
    INK,
    PALE,
    Area,
    Shape,
    Stroke,
    Words,
    fitted,
    mark,
    width,
)

WIDTH, MARGIN, ROW, GAP, TOP = 760, 12, 20, 14, 66
RIGHT = 110  # where the figures stand
SIZE = 13
HALF = 3  # of the thickness of a bar
NAME = (84, 300)  # at least and at most so many pixels for a name
BLUE, BAR, RED = COLOURS[0], "#a9cde6", "#c8553d"


@dataclass(frozen=True)
class Bar:
    """One share: its estimate, the ends of its interval, and the truth."""

    name: str
    estimate: float
    low: float
    high: float
    truth: float

    @property
    def misses(self) -> bool:
        """Whether the truth is outside the interval."""
        return not self.low <= self.truth <= self.high


@dataclass(frozen=True)
class Group:
    """The bars of one question, and a few words about them."""

    name: str
    about: str
    bars: Sequence[Bar]


@dataclass(frozen=True)
class Bars:
    """Groups of bars on a scale that holds all intervals; key: what a dot and its bar are; beside: the mark."""

    title: str
    key: str
    groups: Sequence[Group]
    beside: str = "truth; outside the bar: a miss"

    width = WIDTH

    @property
    def height(self) -> int:
        """How many pixels high it is."""
        rows = sum(1 + len(group.bars) for group in self.groups)
        return TOP + ROW * rows + GAP * len(self.groups) + 2 * MARGIN

    @property
    def description(self) -> str:
        """The bars in words, for who cannot see them."""
        return "; ".join(
            f"{group.name} {bar.name}: truth {bar.truth:.1%}, estimate {bar.estimate:z.1%}, interval {bar.low:z.1%} to"
            f" {bar.high:z.1%}{', a miss' if bar.misses else ''}"
            for group in self.groups
            for bar in group.bars
        )

    @cached_property
    def axis(self) -> Axis:
        """The scale: from the lowest end of an interval, or 0, to the highest."""
        bars = [bar for group in self.groups for bar in group.bars]
        return Axis.over("", [end for bar in bars for end in (bar.low, bar.high, bar.truth)], percent=True)

    @property
    def shapes(self) -> list[Shape]:
        """What draws it."""
        found: list[Shape] = [*self._legend(), *self._grid()]
        y = TOP
        for group in self.groups:
            y += ROW
            room = WIDTH - 3 * MARGIN - width(group.about, SIZE)
            found += [
                Words((MARGIN, y), fitted(group.name, SIZE, room), size=SIZE, bold=True),
                Words((WIDTH - MARGIN, y), group.about, PALE, SIZE, "end"),
            ]
            for bar in group.bars:
                y += ROW
                found += self._bar(bar, y)
            y += GAP
        return found

    @cached_property
    def _left(self) -> float:
        """Where the scale begins, right of the longest name."""
        longest = max((width(bar.name, SIZE) for group in self.groups for bar in group.bars), default=0.0)
        return MARGIN + 16 + min(max(longest, NAME[0]), NAME[1])

    def x(self, share: float) -> float:
        """How many pixels from the left a share stands."""
        return self._left + self.axis.place(share) * (WIDTH - RIGHT - self._left)

    def _legend(self) -> list[Shape]:
        y = 40
        return [
            Words((MARGIN, 20), fitted(self.title, 15, WIDTH - 2 * MARGIN), size=15, bold=True),
            *_box(MARGIN, MARGIN + 28, y - 4),
            Area(mark(0, (MARGIN + 14, y - 4), 4), BLUE),
            Words((MARGIN + 36, y), self.key, PALE, SIZE),
            Stroke([(WIDTH - 270, y - 12), (WIDTH - 270, y + 4)], RED, 3),
            Words((WIDTH - 260, y), self.beside, PALE, SIZE),
        ]

    def _grid(self) -> list[Shape]:
        found: list[Shape] = []
        bottom = self.height - 2 * MARGIN
        for tick in self.axis.ticks:
            x = self.x(tick)
            found.append(Stroke([(x, TOP), (x, bottom)], PALE if tick == 0 else FAINT))
            found += [Words((x, y), self.axis.text(tick), PALE, anchor="middle") for y in (TOP - 5, bottom + 16)]
        return found

    def _bar(self, bar: Bar, y: float) -> list[Shape]:
        middle, truth = y - 4, self.x(bar.truth)
        return [
            Stroke([(self._left, middle), (WIDTH - RIGHT, middle)], FAINT),
            *_box(self.x(bar.low), self.x(bar.high), middle),
            Area(mark(0, (self.x(bar.estimate), middle), 4), BLUE),
            Stroke([(truth, middle - 8), (truth, middle + 8)], RED, 3),
            Words((self._left - 10, y), fitted(bar.name, SIZE, NAME[1]), INK, SIZE, "end"),
            Words((WIDTH - MARGIN - 40, y), f"{bar.estimate:z.1%}", INK, SIZE, "end"),
            *([Words((WIDTH - MARGIN, y), "miss", ALARM, SIZE, "end")] if bar.misses else []),
        ]


def _box(left: float, right: float, middle: float) -> list[Shape]:
    """A bar, with an edge: its colour alone is too pale on white."""
    corners = [(left, middle - HALF), (right, middle - HALF), (right, middle + HALF), (left, middle + HALF)]
    return [Area(corners, BAR), Stroke([*corners, corners[0]], BLUE)]
