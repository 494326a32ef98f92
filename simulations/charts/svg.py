"""Charts as SVG."""

from __future__ import annotations

from html import escape

from hushtally.simulations.charts.shapes import Drawing, Polyline, Shape, Text

FONT = "system-ui, -apple-system, 'Segoe UI', sans-serif"


def to_svg(drawing: Drawing) -> str:
    """Return the drawing as one SVG element with a title and a description."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {drawing.width} {drawing.height}"'
        f' width="{drawing.width}" height="{drawing.height}" role="img" font-family="{FONT}">\n'
        f"<title>{escape(drawing.title)}</title>\n<desc>{escape(drawing.description)}</desc>\n"
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n' + "\n".join(map(_element, drawing.shapes)) + "\n</svg>\n"
    )


def _element(shape: Shape) -> str:
    if isinstance(shape, Text):
        weight = ' font-weight="600"' if shape.bold else ""
        return (
            f'<text x="{shape.at[0]:.1f}" y="{shape.at[1]:.1f}" fill="{shape.colour}" font-size="{shape.size}"'
            f' text-anchor="{shape.anchor}"{weight}>{escape(shape.text)}</text>'
        )
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in shape.points)
    if isinstance(shape, Polyline):
        return f'<polyline points="{points}" fill="none" stroke="{shape.colour}" stroke-width="{shape.width:g}"/>'
    return f'<polygon points="{points}" fill="{shape.colour}"/>'
