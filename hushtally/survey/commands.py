"""`hushtally survey`: what is wrong with a survey file, and what it asks and reveals."""

from __future__ import annotations

import json
import shlex
import shutil
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import TextIO

import click

from hushtally.client_sdk.clock import utc_today
from hushtally.client_sdk.explain.advice import advice, precision
from hushtally.client_sdk.explain.explanation import WIDTH, explain_survey
from hushtally.client_sdk.survey import Survey
from hushtally.client_sdk.survey.epochs import EpochLength
from hushtally.survey.card import write_card
from hushtally.survey.diff import diff

EXAMPLE_STARTS, EXAMPLE_ENDS = date(2026, 11, 2), date(2027, 5, 2)
NARROWEST = 50  # columns: no heading is wider


def example(today: date) -> str:
    """The example survey, moved so that it starts in the week of `today`."""
    text = files("hushtally").joinpath("example.toml").read_text(encoding="utf-8")
    starts = EpochLength.WEEK.start(today)
    ends = starts + (EXAMPLE_ENDS - EXAMPLE_STARTS)
    return text.replace(str(EXAMPLE_STARTS), str(starts), 1).replace(str(EXAMPLE_ENDS), str(ends), 1)


def _fill(out: TextIO, file: Path) -> None:
    """Writes the example, or leaves no file behind."""
    try:
        out.write(example(utc_today()))
        out.flush()
    except OSError:
        file.unlink()
        raise


@click.group()
def survey() -> None:
    """Check a survey file, explain it, compare it, or begin a new one."""


survey.add_command(diff)
survey.add_command(write_card)


@survey.command()
@click.argument("file")
def check(file: str) -> None:
    """Say what is wrong with FILE, every mistake with its place."""
    found = Survey.load(file)
    for line in advice(found, utc_today()):
        click.echo(f"Warning: {file}: {line}", err=True)
    click.echo(f"{file}: {found.name} is sound; digest {found.digest}")
    click.echo(f"{file}: {precision(found)}")


@survey.command()
@click.argument("file")
@click.option("--format", "shape", type=click.Choice(["text", "json"]), default="text", show_default=True)
def explain(file: str, shape: str) -> None:
    """Say in plain language what FILE asks and what it reveals, and how each question is randomized."""
    found = explain_survey(Survey.load(file), technical=True)
    width = min(WIDTH, max(NARROWEST, shutil.get_terminal_size((WIDTH, 24)).columns))
    click.echo(json.dumps(found.as_dict(), indent=2) if shape == "json" else found.text(width))


@survey.command()
@click.argument("file", type=click.Path(path_type=Path))
def new(file: Path) -> None:
    """Write an example survey to FILE, to be changed to one's needs."""
    try:
        with file.open("x", encoding="utf-8") as out:
            _fill(out, file)
    except FileExistsError:
        if file.is_dir():
            raise click.ClickException(f"{file} is a folder: name a file, like {file / 'survey.toml'}") from None
        raise click.ClickException(f"{file} is there already") from None
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}") from None
    click.echo(f"wrote {file}; next: hushtally survey check {shlex.quote(str(file))}", err=True)
