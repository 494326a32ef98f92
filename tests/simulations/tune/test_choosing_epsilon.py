"""The example about choosing epsilon runs as it stands there, from its first line to its last."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from hushtally.simulations.definition import Definition

EXAMPLE = Path(__file__).parents[3] / "examples" / "choosing-epsilon.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def shape(line: str) -> str:
    """A line of drawn figures without them: other versions of numpy may draw others."""
    return re.sub(r" +", " ", re.sub(r"\d", "0", line)).replace("yes", "no").strip()


def assert_shown(shown: list[str], printed: list[str], drawn: bool) -> None:
    """Every line that is shown was printed, in this order; "..." stands for any lines."""
    position = 0
    for number, line in enumerate(shown):
        if line == "...":
            continue
        same = [shape(one) == shape(line) if drawn else one.rstrip() == line.rstrip() for one in printed]
        found = next((place for place in range(position, len(printed)) if same[place]), None)
        assert found is not None, f"not printed: {line}"
        assert found == position or number == 0 or shown[number - 1] == "..." or not any(printed[position:found]), line
        position = found + 1


@pytest.mark.parametrize(
    "left_out", ["hushtally simulate", pytest.param(None, id="everything", marks=pytest.mark.slow)]
)  # simulations take most of the time
def test_the_example_runs_as_printed(tmp_path: Path, left_out: str | None) -> None:
    """Files are written, edits made, programs and commands run, in the order in which they stand there."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path}
    survey = tmp_path / "shop.toml"
    kinds = []
    for kind, block in BLOCK.findall(EXAMPLE.read_text(encoding="utf-8")):
        kinds.append(kind)
        if kind == "toml":
            survey.write_text(block, encoding="utf-8")
        elif kind == "diff":
            lines = block.splitlines()
            text = survey.read_text(encoding="utf-8")
            for before, after in zip(lines[::2], lines[1::2], strict=True):
                assert text.count(before[1:]) == 1
                text = text.replace(before[1:], after[1:])
            survey.write_text(text, encoding="utf-8")
        else:
            command, _, shown = block.partition("\n")
            arguments = [sys.executable, "-W", "error", "-c", block]
            if kind == "console":
                arguments = shlex.split(command.removeprefix("$ "))
                if left_out and left_out in command:
                    continue
            done = subprocess.run(arguments, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
            assert done.returncode == 0, done.stderr
            if kind == "console":
                assert_shown(shown.splitlines(), done.stdout.splitlines(), "simulate" in command)
    assert kinds == ["toml", "python", "console", "diff", "console", "console", "console", "console", "python"]
    assert Definition.load(survey).survey.privacy.epsilon == 1.0
    assert "# each device answers one of the three questions" in survey.read_text(encoding="utf-8")
    assert (tmp_path / "page.html").read_text(encoding="utf-8").count("<svg") == 3
