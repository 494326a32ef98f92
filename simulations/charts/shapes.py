"""Shapes that draw pictures on any surface, and what all pictures have in common."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from unicodedata import east_asian_width

# told apart in every kind of colour vision (Okabe & Ito 2008), dark enough on white, and by their marks besides
COLOURS = ("#0072b2", "#b34700", "#00785a", "#a33c7f", "#5a4a00", "#1f4e79", "#7a1f1f", "#444444")
INK, PALE, FAINT, ALARM = "#222222", "#5f6770", "#d8d8d8", "#b00020"
MARKS = ((), (4,), (3,), (4, 45), (6,), (5,), (3, 180), (8,))  # corners and turn of a mark; () is round

Point = tuple[float, float]


@dataclass(frozen=True)
class Stroke:
    """A line through points, in pixels from the upper left."""

    points: Sequence[Point]
    colour: str
    width: float = 1.0


@dataclass(frozen=True)
class Area:
    """A filled polygon."""

    points: Sequence[Point]
    colour: str


@dataclass(frozen=True)
class Words:
    """A text whose left end, middle or right end ("start", "middle", "end") is at the point, on its base line."""

    at: Point
    text: str
    colour: str = INK
    size: int = 12
    anchor: str = "start"
    bold: bool = False


Shape = Stroke | Area | Words


class Drawing(Protocol):
    """Anything that can be drawn: so many pixels wide and high, with a title and a description in words."""

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


def width(text: str, size: int) -> float:
    """About how many pixels wide a text is, rather too many than too few: fonts differ."""
    return size * sum(map(_ems, text))


def _ems(letter: str) -> float:
    if letter in "MWmw@%" or east_asian_width(letter) in "WF":
        return 1.0
    return 0.75 if letter.isupper() else 0.62


def fitted(text: str, size: int, room: float) -> str:
    """As much of a text as fits into so many pixels."""
    if width(text, size) <= room:
        return text
    kept = next(end for end in range(len(text), -1, -1) if end == 0 or width(f"{text[:end]}…", size) <= room)
    return f"{text[:kept]}…"


def mark(number: int, at: Point, radius: float = 4.5) -> list[Point]:
    """The corners of the mark of a line, by which it is known without its colour."""
    corners, turn = ((*MARKS[number % len(MARKS)], 0) if MARKS[number % len(MARKS)] else (16, 0))[:2]
    angles = (2 * math.pi * corner / corners + math.radians(turn) - math.pi / 2 for corner in range(corners))
    return [(at[0] + radius * math.cos(angle), at[1] + radius * math.sin(angle)) for angle in angles]
