"""Charts as PNG images."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from hushtally.simulations.charts.shapes import Drawing, Point, Polygon, Text
from hushtally.simulations.errors import SimulationError

FONTS = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "arial.ttf", "Arial.ttf")  # the first one that is installed
SCALE = 2  # image pixels for one pixel of the drawing
ANCHORS = {"start": "ls", "middle": "ms", "end": "rs"}


def to_png(drawing: Drawing) -> bytes:
    """Return the drawing as a PNG image of twice its size. Raises SimulationError if Pillow is not installed."""
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError:
        raise SimulationError("a PNG needs Pillow; run: pip install 'hushtally[simulations]'") from None
    image = Image.new("RGB", (SCALE * drawing.width, SCALE * drawing.height), "#ffffff")
    draw = ImageDraw.Draw(image)
    for shape in drawing.shapes:
        if isinstance(shape, Text):
            font = _font(ImageFont, SCALE * shape.size)
            anchor = ANCHORS[shape.anchor]
            draw.text(_scaled([shape.at])[0], shape.text, fill=shape.colour, font=font, anchor=anchor)
        elif isinstance(shape, Polygon):
            draw.polygon(_scaled(shape.points), fill=shape.colour)
        elif len(shape.points) > 1:
            draw.line(_scaled(shape.points), fill=shape.colour, width=round(SCALE * shape.width), joint="curve")
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def _scaled(points: Sequence[Point]) -> list[Point]:
    return [(SCALE * x, SCALE * y) for x, y in points]


def _font(fonts: Any, size: int) -> Any:
    """Return an installed font with the letters of many languages, or Pillow's own font, which has few letters."""
    for name in FONTS:
        with suppress(OSError):
            return fonts.truetype(name, size)
    return fonts.load_default(size)
