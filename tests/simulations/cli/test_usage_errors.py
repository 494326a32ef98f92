"""Usage errors name the option, the requirement and the given value."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from hushtally.cli import main

TUNE = ("tune", "FILE", "--devices", "5e4")
SIMULATE = ("simulate", "FILE", "--devices", "5e4")
AUDIT = ("audit", "FILE")


@pytest.mark.parametrize(
    ("command", "option", "value", "message"),
    [
        (TUNE, "--devices", "1", "must be more than 1: fewer than one report is expected per question and week"),
        (TUNE, "--epsilon", "nan", "'nan' is not a number"),
        (TUNE, "--epsilon", "9", "9.0 is not in the range 0.01<=x<=8.0."),
        (TUNE, "--ceiling", "inf", "'inf' is not a number"),
        (TUNE, "--ceiling", "much", "'much' is not a number"),
        (TUNE, "--target", "nan", "'nan' is not a share; write it like 0.03 or 3%"),
        (TUNE, "--participation", "inf", "'inf' is not a share; write it like 0.03 or 3%"),
        (TUNE, "--epochs", "all", "'all' is not a whole number; write it like 100000, 100,000 or 1e5"),
        (SIMULATE, "--epochs", "30", "must be at most 26, the epochs of shopping-habits v1; got 30"),
        (SIMULATE, "--change", "0.1", "needs more than 1 epoch, because it happens between epochs; got epochs = 1"),
        (SIMULATE, "--turnover", "0.1", "needs more than 1 epoch, because it happens between epochs; got epochs = 1"),
        (SIMULATE, "--withdrawal", "0.1", "needs more than 1 epoch, because it happens between epochs; got epochs = 1"),
        (
            SIMULATE,
            "--then",
            "uniform",
            "needs more than 1 epoch, and change or turnover above 0, because only new answers follow the shares; got"
            " epochs = 1, change = 0, turnover = 0",
        ),
        (
            (*SIMULATE, "--engine", "clients"),
            "--devices",
            "1e6",
            "must be at most 200,000 with the client engine, got",
        ),
        (SIMULATE, "--seed", "x", "'x' is not a whole number"),
        (AUDIT, "--seed", "x", "'x' is not a whole number"),
        (AUDIT, "--trials", "3", "3 is not in the range x>=1000."),
        (AUDIT, "--branches", "0", "0 is not in the range x>=1."),
        (("demo",), "--keep", "FOLDER", "must be a new or an empty folder, but FOLDER contains files"),
        (("demo",), "--epsilon", "nan", "'nan' is not a number"),
        (("demo",), "--seed", "x", "'x' is not a whole number"),
        (("demo",), "--port", "8e4", "80000 is not in the range 0<=x<=65535."),
    ],
)
def test_a_usage_error_names_the_option_the_requirement_and_the_value(
    example: Path, tmp_path: Path, command: tuple[str, ...], option: str, value: str, message: str
) -> None:
    """The exit status is 2, whether the option itself or the function behind it found the error."""
    categories = ", ".join(f'"c{number}"' for number in range(1_500))
    wide = f'[[questions]]\nid = "wide"\none_of = "favourite"\ncategories = [{categories}]\n'
    file = tmp_path / "survey.toml"
    file.write_text(example.read_text(encoding="utf-8") + (wide if "audit" in command else ""), encoding="utf-8")
    paths = {"FILE": str(file), "FOLDER": str(tmp_path)}
    done = CliRunner().invoke(main, [*(paths.get(one, one) for one in command), option, paths.get(value, value)])
    assert done.exit_code == 2, done.output
    assert f"Invalid value for '{option}': {message.replace('FOLDER', str(tmp_path))}" in done.output
