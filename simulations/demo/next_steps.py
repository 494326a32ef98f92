"""The commands to run after the demo."""

from __future__ import annotations

import shlex
from pathlib import Path

from hushtally.output.streams import print_text
from hushtally.simulations.demo.program import typed_words
from hushtally.simulations.demo.survey import DATABASE_FILE, SURVEY_FILE


def print_next_steps(keep: Path | None) -> None:
    """Print three commands that work as printed, in the folder and the environment of the demo."""
    folder = keep or Path("demo")
    database, survey = str(folder / DATABASE_FILE), str(folder / SURVEY_FILE)
    steps = [
        ("Print the estimates for each month of acquisition", "estimate cdnow --by acquired --database", database),
        ("Print what the survey asks, in plain language", "survey explain", survey),
    ]
    if keep is None:
        again = "demo --customers 5000 --epsilon 2 --keep"
        steps.insert(0, ("Run the demo again with a larger epsilon, and keep its files", again, str(folder)))
    else:
        steps.append(("Forecast the accuracy of each epsilon for 50,000 devices", "tune --devices 50000", survey))
    print_text("Next:")
    for purpose, command, path in steps:
        line = shlex.join([*typed_words(), *command.split(), path])
        print_text(f"  # {purpose}:\n  {line}")
