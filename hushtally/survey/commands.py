"""`hushtally survey`: check, explain, compare or create a survey file."""

from __future__ import annotations

import json
import shlex
import shutil
from datetime import date
from importlib.resources import files
from pathlib import Path

import click

from hushtally.client_sdk.clock import utc_today
from hushtally.client_sdk.explain.advice import advice, describe_accuracy
from hushtally.client_sdk.explain.explanation import WIDTH, explain_survey
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.epochs import EpochLength
from hushtally.output.output_file import write_new_file
from hushtally.output.streams import print_data, print_text
from hushtally.survey.card import write_card
from hushtally.survey.diff import diff

EXAMPLE_STARTS, EXAMPLE_ENDS = date(2026, 11, 2), date(2027, 5, 2)
NARROWEST = 50  # columns; wide enough for every heading


def example(today: date) -> str:
    """The example survey in TOML, with its dates moved so that the survey starts in the week of `today`."""
    text = files("hushtally").joinpath("example.toml").read_text(encoding="utf-8")
    starts = EpochLength.WEEK.start(today)
    ends = starts + (EXAMPLE_ENDS - EXAMPLE_STARTS)
    return text.replace(str(EXAMPLE_STARTS), str(starts), 1).replace(str(EXAMPLE_ENDS), str(ends), 1)


@click.group()
def survey() -> None:
    """Check, explain, compare or create a survey file."""


survey.add_command(diff)
survey.add_command(write_card)


@survey.command()
@click.argument("file")
def check(file: str) -> None:
    """List all mistakes and warnings in FILE.

    For a valid survey, prints the digest and the accuracy. For an invalid survey, prints each mistake on one line with
    its place in the file, and exits with 1. Warnings are about settings that are allowed but unwise. They do not change
    the exit status.
    """
    found, today = Survey.load(file), utc_today()
    for line in advice(found, today):
        print_text(f"Warning: {file}: {line}", err=True)
    print_text(f"{file}: {found.name} is valid; digest {found.digest}")
    print_text(f"{file}: {describe_accuracy(found)}")
    if today < found.starts:
        print_text(f"{file}: no device answers before {found.starts}")


@survey.command()
@click.argument("file")
@click.option("--format", "shape", type=click.Choice(["text", "json"]), default="text", show_default=True)
def explain(file: str, shape: str) -> None:
    """Explain in plain language what FILE asks and reveals.

    Prints the text that customers can read before they consent, and the technical details of how each question is
    randomized.
    """
    found = explain_survey(Survey.load(file), technical=True)
    width = min(WIDTH, max(NARROWEST, shutil.get_terminal_size((WIDTH, 24)).columns))
    if shape == "json":
        print_data(json.dumps(found.as_dict(), indent=2) + "\n")
    else:
        print_text(found.text(width))


@survey.command()
@click.argument("file", type=click.Path(path_type=Path))
def new(file: Path) -> None:
    """Create FILE with an example survey to edit."""
    write_new_file(file, example(utc_today()), "survey.toml")
    print_text(f"wrote {file}; next: hushtally survey check {shlex.quote(str(file))}", err=True)
