"""Pictures on a surface: SVG, PNG, or the characters of a terminal."""

from __future__ import annotations

import io
from contextlib import suppress
from html import escape
from typing import Any

from rich.cells import cell_len, set_cell_size

from hushtally.simulations.charts.bars import Bars
from hushtally.simulations.charts.lines import Chart
from hushtally.simulations.charts.shapes import Area, Drawing, Stroke, Words
from hushtally.simulations.errors import SimulationError

FONT = "system-ui, -apple-system, 'Segoe UI', sans-serif"
FONTS = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "arial.ttf", "Arial.ttf")  # of a PNG, the first that is there
SCALE = 2  # pixels of a PNG for one of the chart
COLUMNS, ROWS = 64, 14
NAME = 18  # columns of a name beside bars


def to_svg(drawing: Drawing) -> str:
    """The picture as one SVG element with a title and a description."""
    parts = []
    for shape in drawing.shapes:
        if isinstance(shape, Words):
            weight = ' font-weight="600"' if shape.bold else ""
            parts.append(
                f'<text x="{shape.at[0]:.1f}" y="{shape.at[1]:.1f}" fill="{shape.colour}" font-size="{shape.size}"'
                f' text-anchor="{shape.anchor}"{weight}>{escape(shape.text)}</text>'
            )
            continue
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in shape.points)
        if isinstance(shape, Stroke):
            parts.append(
                f'<polyline points="{points}" fill="none" stroke="{shape.colour}" stroke-width="{shape.width:g}"/>'
            )
        else:
            parts.append(f'<polygon points="{points}" fill="{shape.colour}"/>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {drawing.width} {drawing.height}"'
        f' width="{drawing.width}" height="{drawing.height}" role="img" font-family="{FONT}">\n'
        f"<title>{escape(drawing.title)}</title>\n<desc>{escape(drawing.description)}</desc>\n"
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def to_png(drawing: Drawing) -> bytes:
    """The picture as a PNG of twice the size; SimulationError where Pillow is not installed."""
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError:
        raise SimulationError("a PNG needs Pillow; run: pip install 'hushtally[simulations]'") from None
    image = Image.new("RGB", (SCALE * drawing.width, SCALE * drawing.height), "#ffffff")
    draw = ImageDraw.Draw(image)
    anchors = {"start": "ls", "middle": "ms", "end": "rs"}

    def scaled(points: Any) -> list[tuple[float, float]]:
        return [(SCALE * x, SCALE * y) for x, y in points]

    for shape in drawing.shapes:
        if isinstance(shape, Words):
            font = _font(ImageFont, SCALE * shape.size)
            draw.text(scaled([shape.at])[0], shape.text, fill=shape.colour, font=font, anchor=anchors[shape.anchor])
        elif isinstance(shape, Area):
            draw.polygon(scaled(shape.points), fill=shape.colour)
        elif len(shape.points) > 1:
            draw.line(scaled(shape.points), fill=shape.colour, width=round(SCALE * shape.width), joint="curve")
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def _font(fonts: Any, size: int) -> Any:
    """A font of the system that has the letters of many languages, or else Pillow's own, which has few."""
    for name in FONTS:
        with suppress(OSError):
            return fonts.truetype(name, size)
    return fonts.load_default(size)


def to_text(drawing: Chart | Bars) -> str:
    """The picture in characters."""
    return _chart_text(drawing) if isinstance(drawing, Chart) else _bars_text(drawing)


def _bars_text(bars: Bars) -> str:
    """A line for every bar: = for its interval, o for the estimate, | for the truth."""

    def column(share: float) -> int:
        return round(bars.axis.place(share) * (COLUMNS - NAME - 3))

    lines = [bars.title, f"  =o=: {bars.key}; |: truth"]
    for group in bars.groups:
        lines.append(f"{group.name}  {group.about}")
        for bar in group.bars:
            cells = [" "] * (COLUMNS - NAME - 2)
            for place in range(column(bar.low), column(bar.high) + 1):
                cells[place] = "="
            cells[column(bar.estimate)] = "o"
            cells[column(bar.truth)] = "|"
            name = set_cell_size(bar.name, min(cell_len(bar.name), NAME))
            aligned = " " * (NAME - cell_len(name)) + name
            lines.append(f"{aligned} {''.join(cells)} {bar.estimate:z7.1%}{' miss' if bar.misses else ''}")
    return "\n".join(lines)


def _chart_text(chart: Chart) -> str:
    """A letter for every line, its capital for the truth, - for the limit."""
    grid = [[" "] * COLUMNS for _ in range(ROWS)]

    def row(y: float) -> int:
        return round((1 - min(max(chart.y.place(y), 0.0), 1.0)) * (ROWS - 1))

    def column(x: float) -> int:
        return round(chart.x.place(x) * (COLUMNS - 1))

    if chart.limit is not None:
        grid[row(chart.limit[0])] = ["-"] * COLUMNS
    for number, line in enumerate(chart.lines):
        for (x, _), truth in zip(line.points, line.truths, strict=bool(line.truths)):
            grid[row(truth)][column(x)] = chr(ord("A") + number)
    for number, line in enumerate(chart.lines):
        for x, y in line.points:
            grid[row(y)][column(x)] = chr(ord("a") + number)
    names = {row(tick): chart.y.text(tick) for tick in chart.y.ticks}
    lines = [chart.title, chart.y.label]
    lines += [f"{names.get(number, ''):>8} |{''.join(cells).rstrip()}" for number, cells in enumerate(grid)]
    lines.append(" " * 9 + "+" + "-" * COLUMNS)
    below = [" "] * (COLUMNS + 8)
    for tick in chart.x.ticks:
        text, start = chart.x.text(tick), column(tick)
        if all(cell == " " for cell in below[max(start - 1, 0) : start + len(text) + 1]):
            below[start : start + len(text)] = text
    lines += [" " * 10 + "".join(below).rstrip(), f"{chart.x.label:>{COLUMNS + 10}}"]
    lines += [f"  {chr(ord('a') + number)} {line.name}" for number, line in enumerate(chart.lines)]
    if any(line.truths for line in chart.lines):
        lines.append("  capitals: the truth, where no estimate covers it")
    if chart.limit is not None:
        lines.append(f"  - {chart.limit[1]}")
    return "\n".join(lines)
