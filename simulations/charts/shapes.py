"""Shapes that charts consist of, in pixels from the upper left corner."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from unicodedata import east_asian_width

# distinguishable with every kind of colour vision (Okabe & Ito 2008), and dark enough on white
COLOURS = ("#0072b2", "#b34700", "#00785a", "#a33c7f", "#5a4a00", "#1f4e79", "#7a1f1f", "#444444")
INK, MUTED, FAINT, ALARM = "#222222", "#5f6770", "#d8d8d8", "#b00020"
MARKERS = ((), (4,), (3,), (4, 45), (6,), (5,), (3, 180), (8,))  # corners and rotation in degrees; () is round
ROUND = 16  # corners of a round marker

Point = tuple[float, float]


@dataclass(frozen=True)
class Polyline:
    """A line through points."""

    points: Sequence[Point]
    colour: str
    width: float = 1.0


@dataclass(frozen=True)
class Polygon:
    """A filled polygon."""

    points: Sequence[Point]
    colour: str


@dataclass(frozen=True)
class Text:
    """One line of text. anchor: the place of the point on the baseline: "start", "middle" or "end"."""

    at: Point
    text: str
    colour: str = INK
    size: int = 12
    anchor: str = "start"
    bold: bool = False


Shape = Polyline | Polygon | Text


class Drawing(Protocol):
    """A picture of a given size in pixels, with a title and a description for people who cannot see it."""

    @property
    def title(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def shapes(self) -> list[Shape]: ...


def text_width(text: str, size: int) -> float:
    """Return an upper estimate of the width of a text in pixels. Fonts differ."""
    return size * sum(map(_ems, text))


def _ems(letter: str) -> float:
    if letter in "MWmw@%" or east_asian_width(letter) in "WF":
        return 1.0
    return 0.75 if letter.isupper() else 0.62


def truncated(text: str, size: int, room: float) -> str:
    """Return the text, cut with an ellipsis if it needs more than `room` pixels."""
    if text_width(text, size) <= room:
        return text
    end = next(end for end in range(len(text), -1, -1) if end == 0 or text_width(f"{text[:end]}…", size) <= room)
    return f"{text[:end]}…"


def marker(number: int, at: Point, radius: float = 4.5) -> list[Point]:
    """Return the corners of the marker of a line. Its form identifies the line without colour."""
    corners, rotation = ((*MARKERS[number % len(MARKERS)], 0) if MARKERS[number % len(MARKERS)] else (ROUND, 0))[:2]
    angles = (2 * math.pi * corner / corners + math.radians(rotation) - math.pi / 2 for corner in range(corners))
    return [(at[0] + radius * math.cos(angle), at[1] + radius * math.sin(angle)) for angle in angles]
