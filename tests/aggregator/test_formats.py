"""What is shown: every figure in a column of its own, a picture on a terminal, and nothing that a name could break."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from aggregator.formats import percent, print_tables, span, to_csv, to_json
from aggregator.summary import Row

ROW = Row(
    "shop", 1, "frequency", "2026-W45", {"platform": "web"}, "none", "share", 900,
    0.25, 0.02, 0.125, 0.5, 0.0625, 0.75, 0.25, True, None, 0.95, "respondents",
)  # fmt: skip
SMALL = replace(ROW, segment="[bold]heavy", estimate=-0.02, low=-0.06, high=0.02)
LONG = replace(ROW, segment="a segment that is named at great length")
FIGURES = ("25.0%", "12.5% to 50.0%", "6.2% to 75.0%", "-2.0%", "0.0% to 2.0%")


class Terminal(io.TextIOWrapper):
    """A terminal with an encoding of its own."""

    def __init__(self, encoding: str) -> None:
        super().__init__(io.BytesIO(), encoding=encoding)

    def isatty(self) -> bool:
        return True

    def text(self) -> str:
        self.seek(0)
        return self.read()


def shown(encoding: str, rows: list[Row], width: int = 120) -> list[str]:
    terminal = Terminal(encoding)
    print_tables(rows, Console(file=terminal, width=width, force_terminal=True, color_system=None))
    return [line.rstrip() for line in terminal.text().splitlines()]


def test_a_terminal_gets_a_picture_on_one_scale() -> None:
    lines = shown("utf-8", [ROW, SMALL])
    assert any(
        line.endswith("12.5% to 50.0%   6.2% to 75.0%        25.0%         ──────●───────────") for line in lines
    )
    assert any(line.startswith("[bold]heavy") and line.endswith("●") for line in lines)
    assert lines[0].startswith("frequency  2026-W45  platform=web  900 reports")
    assert "Shares of just those who answered." in " ".join(lines)


def test_a_terminal_without_utf8_gets_plain_characters() -> None:
    assert any(line.endswith(" ------o-----------") for line in shown("ascii", [ROW, SMALL]))


@pytest.mark.parametrize(
    ("width", "rows", "drawn", "consistent"),
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
def test_what_does_not_fit_is_left_out_and_no_figure_cut(
    width: int, rows: list[Row], drawn: bool, consistent: bool
) -> None:
    """First the picture, then the consistent shares, then a part of long names; then the terminal breaks the lines."""
    lines = shown("utf-8", rows, width)
    text = " ".join(lines)
    assert all(figure in text for figure in FIGURES)
    assert ("●" in text) == drawn
    assert ("consistent" in text) == ("consistent:" in text) == consistent
    assert width < 50 or max(map(len, lines)) <= width


def test_an_estimate_outside_its_interval_is_explained() -> None:
    assert "An estimate may by chance lie below 0% or above 100%; " in " ".join(shown("utf-8", [SMALL], 500))


def test_the_caption_tells_of_picked_segments_and_of_the_confidence() -> None:
    caption = " ".join(shown("utf-8", [replace(ROW, confidence=0.8, population="customers")], 500))
    assert "Shares of customers, of whom these are a sample. interval holds one share with 80% confidence" in caption
    assert "so also those picked for their high estimates, of which fewer single intervals hold" in caption


def test_figures_are_cut_for_display_only() -> None:
    assert percent(-0.0213) == "-2.1%"
    assert percent(None) == span(None, 0.5) == "-"
    assert span(-0.0213, 1.2) == "0.0% to 100.0%"
    assert json.loads(to_json([SMALL]))[0]["low"] == -0.06
    assert "-0.06" in to_csv([SMALL])


def test_nothing_is_still_well_formed() -> None:
    assert json.loads(to_json([])) == []
    assert to_csv([]).startswith("survey,version,question,")
    assert len(to_csv([]).splitlines()) == 1
    assert shown("utf-8", []) == []


def test_text_of_every_alphabet_is_kept() -> None:
    row = replace(ROW, segment='bücher, "заказы" 書')
    assert json.loads(to_json([row]))[0]["segment"] == row.segment
    assert '"bücher, ""заказы"" 書"' in to_csv([row])
