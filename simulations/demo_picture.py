"""The demonstration as a picture: every estimate with its interval, beside the truth."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import groupby

from simulations.demo import Line

WIDTH, LABEL, ROW, GAP = 760, 190, 20, 34
PLOT = WIDTH - LABEL - 70
INK, PALE, SOFT, BLUE, RED = "#24292f", "#6e7781", "#d0d7de", "#2f6fab", "#c8553d"


def picture(lines: Sequence[Line], customers: int, epsilon: float) -> str:
    """An SVG of the shares of all customers: a dot on its 95% interval, and a stroke where the truth is.

    One scale for everything, from 0 to the highest end of an interval.
    """
    shown = [line for line in lines if not line.row.cohort and line.row.published]
    top = max(min(line.row.high or 0.0, 1.0) for line in shown) if shown else 1.0
    parts: list[str] = []
    y = 52
    for question, group in groupby(shown, key=lambda line: line.row.question):
        rows = list(group)
        parts.append(_text(0, y, f"{question}", weight=600))
        parts.append(_text(WIDTH, y, f"{rows[0].row.reports:,} reports", anchor="end", fill=PALE))
        for line in rows:
            y += ROW
            parts.append(_row(line, y, top))
        y += GAP
    legend = [
        _text(0, 16, f"{customers:,} customers, one randomized answer each, epsilon {epsilon:g}", weight=600),
        f'<circle cx="{WIDTH - 232}" cy="12" r="4" fill="{BLUE}"/>',
        _text(WIDTH - 222, 16, "estimate, 95% interval", fill=PALE),
        f'<rect x="{WIDTH - 44}" y="4" width="3" height="16" fill="{RED}"/>',
        _text(WIDTH - 34, 16, "truth", fill=PALE),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-12 -8 {WIDTH + 24} {y - GAP + 28}" role="img"'
        f' font-family="system-ui, sans-serif" font-size="13">'
        f"<title>Estimates from randomized answers beside the truth</title><desc>{escape(_described(shown))}</desc>"
        f'<rect x="-12" y="-8" width="100%" height="100%" fill="#ffffff"/>{"".join(legend + parts)}</svg>\n'
    )


def _row(line: Line, y: int, top: float) -> str:
    def x(share: float | None) -> float:
        return LABEL + round(min(max(share or 0.0, 0.0), 1.0) / top * PLOT, 1)

    row = line.row
    low, high = x(row.low), x(row.high)
    return (
        f'<line x1="{LABEL}" x2="{LABEL + PLOT}" y1="{y}" y2="{y}" stroke="{SOFT}" stroke-width="1"/>'
        f'<rect x="{low}" y="{y - 3}" width="{round(high - low, 1)}" height="6" rx="3" fill="{BLUE}" opacity=".35"/>'
        f'<circle cx="{x(row.estimate)}" cy="{y}" r="4" fill="{BLUE}"/>'
        f'<rect x="{x(line.truth) - 1.5}" y="{y - 8}" width="3" height="16" fill="{RED}"/>'
        + _text(LABEL - 10, y + 4, row.segment, anchor="end")
        + _text(WIDTH, y + 4, f"{row.estimate or 0.0:.1%}", anchor="end")
    )


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: int = 400, fill: str = INK) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-weight="{weight}" fill="{fill}">{escape(text)}</text>'


def _described(lines: Sequence[Line]) -> str:
    return "; ".join(
        f"{line.row.question} {line.row.segment}: truth {line.truth:.1%}, estimate {line.row.estimate or 0.0:.1%}"
        for line in lines
    )
