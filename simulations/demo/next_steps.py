"""The commands to run after the demo."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from rich.console import Console

from hushtally.simulations.demo.survey import DATABASE_FILE, SURVEY_FILE


def print_next_steps(keep: Path | None, console: Console) -> None:
    """Print three commands that work as printed, in the folder and the environment of the demo."""
    folder = keep or Path("demo")
    again = ("Run the demo again with a larger epsilon, and keep its files",
             ["demo", "--customers", 5000, "--epsilon", 2, "--keep", folder])  # fmt: skip
    estimate = ("Print the estimates for each month of acquisition",
                ["estimate", "cdnow", "--database", folder / DATABASE_FILE, "--by", "acquired"])  # fmt: skip
    explain = ("Print what the survey asks, in plain language", ["survey", "explain", folder / SURVEY_FILE])
    tune = ("Forecast the accuracy of each epsilon for 50,000 devices",
            ["tune", folder / SURVEY_FILE, "--devices", 50000])  # fmt: skip
    console.print("Next:")
    for purpose, words in (again, estimate, explain) if keep is None else (estimate, explain, tune):
        command = shlex.join([*_program(), *map(str, words)])
        console.print(f"  # {purpose}:", f"  {command}", sep="\n", markup=False, soft_wrap=True)


def _program() -> list[str]:
    """The words with which this program was started."""
    script = Path(sys.argv[0])
    if script.name == "__main__.py":
        return [sys.executable, "-m", "hushtally"]
    return ["hushtally"] if shutil.which("hushtally") == str(script.absolute()) else [str(script)]
