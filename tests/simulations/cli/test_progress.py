"""The progress bar on stderr."""

from __future__ import annotations

import pytest

from hushtally.simulations.cli.progress import no_progress, progress_bar


@pytest.mark.parametrize("steps", [3, None])
def test_a_terminal_gets_a_bar(
    steps: int | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It shows the description, whether or not the number of steps is known."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress_bar("Counting", steps) as advance:
        for _ in range(3):
            advance()
    out, err = capsys.readouterr()
    assert out == ""
    assert "Counting" in err


@pytest.mark.parametrize("show", [progress_bar, no_progress])
def test_without_a_terminal_nothing_is_printed(show, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    with show("Counting", 3) as advance:
        advance()
    assert capsys.readouterr() == ("", "")
