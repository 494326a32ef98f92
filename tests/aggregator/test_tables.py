"""Tables: whole figures in columns, a plot on a terminal, and names that cannot break the layout."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from hushtally.aggregator.row import Row
from hushtally.aggregator.rows import to_csv, to_json
from hushtally.aggregator.share_format import percent, span
from hushtally.aggregator.tables import print_tables
from hushtally.client_sdk.survey import Survey

SURVEY = Survey.parse("""
id = "shop"
version = 1
title = "How people shop"
purpose = "To decide which offers to build."
owner = "insights@shop.example"
starts = 2026-11-02
ends = 2027-05-02
epoch = "week"

[privacy]
epsilon = 1.0
answers_every = 4

[signals]
orders = { count = "purchase", days = 90 }

[[questions]]
id = "frequency"
segments = [{ id = "none", when = "orders == 0" }, { id = "some" }]
""")
ROW = Row(
    "shop", 1, "frequency", "2026-W45", {"platform": "web"}, "none", "share", 900,
    0.25, 0.02, 0.125, 0.5, 0.0625, 0.75, 0.25, True, None, 0.95, "respondents", True, True,
)  # fmt: skip
SMALL = replace(ROW, segment="[bold]heavy", estimate=-0.02, low=-0.06, high=0.02)
LONG = replace(ROW, segment="a segment that is named at great length")
FIGURES = ("25.0%", "12.5% to 50.0%", "6.2% to 75.0%", "-2.0%", "-6.0% to 2.0%")


class Terminal(io.TextIOWrapper):
    """A terminal with a given encoding."""

    def __init__(self, encoding: str) -> None:
        super().__init__(io.BytesIO(), encoding=encoding)

    def isatty(self) -> bool:
        return True

    def output(self) -> str:
        self.seek(0)
        return self.read()


def shown(encoding: str, rows: list[Row], width: int = 120) -> list[str]:
    terminal = Terminal(encoding)
    console = Console(file=terminal, width=width, force_terminal=True, color_system=None)
    print_tables(rows, SURVEY, console)
    return [line.rstrip() for line in terminal.output().splitlines()]


def test_a_terminal_gets_a_plot_with_one_scale_for_all_rows() -> None:
    lines = shown("utf-8", [ROW, SMALL])
    assert any(
        line.endswith("12.5% to 50.0%   6.2% to 75.0%        25.0%         ──────●───────────") for line in lines
    )
    assert any(line.startswith("[bold]heavy") and line.endswith("●") for line in lines)
    assert lines[0].startswith("frequency  2026-W45  platform=web  900 reports")
    assert "Shares of the respondents only." in " ".join(lines)


def test_one_report_is_singular() -> None:
    assert shown("utf-8", [replace(ROW, reports=1)])[0] == "frequency  2026-W45  platform=web  1 report"


def test_a_terminal_without_utf8_gets_an_ascii_plot() -> None:
    assert any(line.endswith(" ------o-----------") for line in shown("ascii", [ROW, SMALL]))


@pytest.mark.parametrize(
    ("width", "rows", "plotted", "consistent"),
    [
        (100, [ROW, SMALL], True, True),
        (80, [ROW, SMALL], False, True),
        (120, [LONG, SMALL], True, True),
        (100, [LONG, SMALL], False, True),
        (80, [LONG, SMALL], False, False),
        (60, [LONG, SMALL], False, False),
        (20, [LONG, SMALL], False, False),
    ],
)
def test_a_table_that_does_not_fit_loses_columns_but_no_figure_is_cut(
    width: int, rows: list[Row], plotted: bool, consistent: bool
) -> None:
    """The plot goes first, then the consistent shares, then the end of long names. Last, the lines are broken."""
    lines = shown("utf-8", rows, width)
    text = " ".join(lines)
    assert all(figure in text for figure in FIGURES)
    assert ("●" in text) == plotted
    assert ("consistent" in text) == ("consistent:" in text) == consistent
    assert width < 50 or max(map(len, lines)) <= width


def test_an_interval_is_not_cut_at_zero() -> None:
    """An interval below 0% that is cut to 0% would claim that certainly nobody is in the segment."""
    below = replace(SMALL, estimate=-0.249, low=-0.35, high=-0.14, simultaneous_low=-0.41, simultaneous_high=-0.08)
    text = " ".join(shown("utf-8", [below]))
    assert "-24.9%   -35.0% to -14.0%   -41.0% to -8.0%" in text
    assert "Shares are not cut to 0-100%: noise can push a share below 0% or above 100%." in text


def test_the_title_of_an_open_epoch_has_its_last_day() -> None:
    """The last day on which reports are accepted, also in the title of an unpublished table."""
    few = replace(ROW, complete=False, published=False, reason="fewer than 1,000 reports: 900")
    for row in (replace(ROW, complete=False), few):
        assert shown("utf-8", [row])[0] == (
            "frequency  2026-W45 (open: reports are accepted until 2026-11-15)  platform=web  900 reports"
        )


def test_the_legend_explains_the_confidence_and_picked_segments() -> None:
    """Every line fits into 80 columns."""
    lines = shown("utf-8", [replace(ROW, confidence=0.8, population="customers")], 80)
    legend = lines[lines.index("") + 1 :]
    assert legend[0] == "Shares of all customers. The respondents are a sample of them."
    assert legend[2:6] == [
        "80% interval: contains the true share of one segment with this confidence.",
        "simultaneous: contains all true shares of a table at once with this confidence.",
        "Use the column simultaneous for segments that you pick from the table, such as",
        "the largest: the other intervals miss the share of picked segments more often.",
    ]
    assert max(map(len, legend)) <= 80
    assert any("80% interval" in line and "simultaneous" in line for line in lines)


def test_a_title_is_one_line_in_a_pipe() -> None:
    """The names may be of any length."""
    out = io.StringIO()
    row = replace(ROW, question="q" * 64, cohort={"platform": "w" * 64})
    print_tables([row], SURVEY, Console(file=out, width=100))
    assert out.getvalue().startswith(f"{'q' * 64}  2026-W45  platform={'w' * 64}  900 reports\n")


def test_figures_are_rounded_in_tables_only() -> None:
    assert percent(-0.0213) == "-2.1%"
    assert percent(-0.0003) == "0.0%"
    assert percent(None) == span(None, 0.5) == "-"
    assert span(-0.0213, 1.2) == "-2.1% to 120.0%"
    assert json.loads(to_json([SMALL]))[0]["low"] == -0.06
    assert "-0.06" in to_csv([SMALL])


def test_an_empty_summary_is_well_formed() -> None:
    assert json.loads(to_json([])) == []
    assert to_csv([]).startswith("survey,version,question,")
    assert len(to_csv([]).splitlines()) == 1
    assert shown("utf-8", []) == []


def test_every_alphabet_is_preserved() -> None:
    row = replace(ROW, segment='bücher, "заказы" 書')
    assert json.loads(to_json([row]))[0]["segment"] == row.segment
    assert '"bücher, ""заказы"" 書"' in to_csv([row])
