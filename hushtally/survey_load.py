"""Reading a survey file for a command."""

from __future__ import annotations

import click

from client_sdk.errors import SurveyError
from client_sdk.survey import Survey


def load(path: str) -> Survey:
    """The survey at `path`; a ClickException with one line for every mistake, each with `Error:` and the file."""
    try:
        return Survey.load(path)
    except SurveyError as error:
        # click says `Error:` once, before the first line
        raise click.ClickException(str(error).replace("\n", "\nError: ")) from None
