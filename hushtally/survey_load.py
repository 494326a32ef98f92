"""Reading a survey file for a command."""

from __future__ import annotations

import click

from client_sdk.errors import SurveyError
from client_sdk.survey import Survey


def load(path: str) -> Survey:
    """The survey at `path`; a ClickException with one line for every mistake, each beginning with the file."""
    try:
        return Survey.load(path)
    except SurveyError as error:
        raise click.ClickException("\n".join(f"{path}: {problem}" for problem in error.problems)) from None
