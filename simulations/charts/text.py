"""Charts as text for a terminal."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size

from hushtally.output.printable import printable
from hushtally.simulations.charts.bar_chart import Bar, BarChart
from hushtally.simulations.charts.line_chart import LineChart

COLUMNS, ROWS = 64, 14
NAME_WIDTH = 18  # columns for the name of a bar


def to_text(chart: LineChart | BarChart, encoding: str = "utf-8") -> str:
    """The chart as lines of text; characters of names that the encoding lacks are escaped."""
    return _line_chart(chart, encoding) if isinstance(chart, LineChart) else _bar_chart(chart, encoding)


def _bar_chart(chart: BarChart, encoding: str) -> str:
    """One line for each bar: = is the interval, o the estimate, | the true value."""
    lines = [chart.title, f"  =o=: {chart.key}; |: true value"]
    for group in chart.groups:
        lines.append(f"{group.name}  {group.subtitle}")
        lines += [_bar(chart, bar, printable(bar.name, encoding)) for bar in group.bars]
    return "\n".join(lines)


def _bar(chart: BarChart, bar: Bar, name: str) -> str:
    def column(share: float) -> int:
        return round(chart.axis.position(share) * (COLUMNS - NAME_WIDTH - 3))

    cells = [" "] * (COLUMNS - NAME_WIDTH - 2)
    for position in range(column(bar.low), column(bar.high) + 1):
        cells[position] = "="
    cells[column(bar.estimate)] = "o"
    cells[column(bar.truth)] = "|"
    name = set_cell_size(name, min(cell_len(name), NAME_WIDTH))
    aligned = " " * (NAME_WIDTH - cell_len(name)) + name
    return f"{aligned} {''.join(cells)} {bar.estimate:z7.1%}{' miss' if bar.misses else ''}"


def _line_chart(chart: LineChart, encoding: str) -> str:
    """A letter for each line, its capital for the true value, - for the limit."""
    labels = {_row(chart, tick): chart.y.text(tick) for tick in chart.y.ticks}
    lines = [chart.title, chart.y.label]
    lines += [f"{labels.get(number, ''):>8} |{''.join(cells).rstrip()}" for number, cells in enumerate(_plot(chart))]
    lines += [" " * 9 + "+" + "-" * COLUMNS, _x_labels(chart), f"{chart.x.label:>{COLUMNS + 10}}"]
    lines += [f"  {chr(ord('a') + number)} {printable(line.name, encoding)}" for number, line in enumerate(chart.lines)]
    if any(line.truths for line in chart.lines):
        lines.append("  capital letter: true value, if no estimate is at the same place")
    if chart.limit is not None:
        lines.append(f"  - {chart.limit[1]}")
    return "\n".join(lines)


def _plot(chart: LineChart) -> list[list[str]]:
    """The cells of the plot: the limit, then the true values over it, then the estimates over both."""
    cells = [[" "] * COLUMNS for _ in range(ROWS)]
    if chart.limit is not None:
        cells[_row(chart, chart.limit[0])] = ["-"] * COLUMNS
    for number, line in enumerate(chart.lines):
        for (x, _), truth in zip(line.points, line.truths, strict=bool(line.truths)):
            cells[_row(chart, truth)][_column(chart, x)] = chr(ord("A") + number)
    for number, line in enumerate(chart.lines):
        for x, y in line.points:
            cells[_row(chart, y)][_column(chart, x)] = chr(ord("a") + number)
    return cells


def _x_labels(chart: LineChart) -> str:
    """The labels of the ticks of x that do not overlap an earlier label."""
    cells = [" "] * (COLUMNS + 8)
    for tick in chart.x.ticks:
        text, start = chart.x.text(tick), _column(chart, tick)
        if all(cell == " " for cell in cells[max(start - 1, 0) : start + len(text) + 1]):
            cells[start : start + len(text)] = text
    return " " * 10 + "".join(cells).rstrip()


def _row(chart: LineChart, y: float) -> int:
    return round((1 - min(max(chart.y.position(y), 0.0), 1.0)) * (ROWS - 1))


def _column(chart: LineChart, x: float) -> int:
    return round(chart.x.position(x) * (COLUMNS - 1))
