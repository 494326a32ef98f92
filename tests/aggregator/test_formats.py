"""What is shown: every figure in a column of its own, a picture on a terminal, and nothing that a name could break."""

from __future__ import annotations

import io
import json
from dataclasses import replace

from rich.console import Console

from aggregator.formats import percent, print_tables, span, to_csv, to_json
from aggregator.summary import Row

ROW = Row(
    "shop", 1, "frequency", "2026-W45", {"platform": "web"}, "none", "share", 900,
    0.25, 0.02, 0.125, 0.5, 0.0625, 0.75, 0.25, True,
)  # fmt: skip
SMALL = replace(ROW, segment="[bold]heavy", estimate=-0.02, low=-0.06, high=0.02)


class Terminal(io.TextIOWrapper):
    """A terminal with an encoding of its own."""

    def __init__(self, encoding: str) -> None:
        super().__init__(io.BytesIO(), encoding=encoding)

    def isatty(self) -> bool:
        return True

    def text(self) -> str:
        self.seek(0)
        return self.read()


def shown(encoding: str, rows: list[Row]) -> list[str]:
    terminal = Terminal(encoding)
    print_tables(rows, Console(file=terminal, width=120, force_terminal=True, color_system=None), 0.95, "respondents")
    return [line.rstrip() for line in terminal.text().splitlines()]


def test_a_terminal_gets_a_picture_on_one_scale() -> None:
    lines = shown("utf-8", [ROW, SMALL])
    assert any(
        line.endswith("12.5% to 50.0%   6.2% to 75.0%        25.0%         ──────●───────────") for line in lines
    )
    assert any(line.startswith("[bold]heavy") and line.endswith("●") for line in lines)
    assert lines[0].startswith("frequency  2026-W45  platform=web  900 reports")
    assert "just those who answered" in lines[-2] + lines[-1]


def test_a_terminal_without_utf8_gets_plain_characters() -> None:
    assert any(line.endswith(" ------o-----------") for line in shown("ascii", [ROW, SMALL]))


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
