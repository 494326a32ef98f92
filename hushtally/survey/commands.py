"""`hushtally survey`: check, explain, compare or create a survey file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import click

from hushtally.client_sdk.clock import utc_today
from hushtally.client_sdk.explain.advice import advice, describe_accuracy
from hushtally.client_sdk.explain.explanation import WIDTH, explain_survey
from hushtally.client_sdk.survey import Survey
from hushtally.output.streams import print_data, print_text
from hushtally.survey.card.command import write_card
from hushtally.survey.card.context import context_path
from hushtally.survey.card.context_reader import find_context
from hushtally.survey.card.review import card_status, card_warnings
from hushtally.survey.diff import diff
from hushtally.survey.new import new

NARROWEST = 50  # columns; wide enough for every heading


@click.group()
def survey() -> None:
    """Check, explain, compare or create a survey file."""


survey.add_command(diff)
survey.add_command(write_card)
survey.add_command(new)


@survey.command()
@click.argument("file")
def check(file: str) -> None:
    """List all mistakes and warnings in FILE.

    For a valid survey, prints the digest and the accuracy. For an invalid survey, prints each mistake on one line with
    its place in the file, and exits with 1. Warnings are about settings that are allowed but unwise. They do not change
    the exit status.

    If the survey has a context file (habits.card.toml for habits.toml), its mistakes are listed, too. A warning says
    that the review of the card is overdue.
    """
    found, today = Survey.load(file), utc_today()
    context, context_file = find_context(file, found), context_path(Path(file))
    for line in advice(found, today):
        print_text(f"Warning: {file}: {line}", err=True)
    for line in card_warnings(found, context, today) if context else ():
        print_text(f"Warning: {context_file}: {line}", err=True)
    print_text(f"{file}: {found.name} is valid; digest {found.digest}")
    print_text(f"{file}: {describe_accuracy(found)}")
    if today < found.starts:
        print_text(f"{file}: no device answers before {found.starts}")
    for line in card_status(found, context, today) if context else ():
        print_text(f"{context_file}: {line}")


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
