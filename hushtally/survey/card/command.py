"""`hushtally survey card`: writes the card of a survey, or a new context file."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from hushtally.client_sdk.survey import Survey
from hushtally.output.output_file import write_new_file
from hushtally.output.streams import print_data, print_text
from hushtally.survey.card.card import card
from hushtally.survey.card.context import Context, context_path
from hushtally.survey.card.context_reader import find_context, load_context
from hushtally.survey.card.html import to_html
from hushtally.survey.card.markdown import to_markdown
from hushtally.survey.card.readiness import Readiness
from hushtally.survey.card.starter import starter

FORMATS = {"markdown": to_markdown, "html": to_html}


@click.command("card")
@click.argument("file")
@click.option(
    "--context",
    "context_file",
    type=click.Path(path_type=Path),
    help="The context file. Default: the one beside FILE, such as habits.card.toml for habits.toml, if it exists.",
)
@click.option("--new-context", is_flag=True, help="Create the context file, with every question as a comment.")
@click.option("--format", "shape", type=click.Choice(list(FORMATS)), default="markdown", show_default=True)
@click.option("--output", type=click.Path(path_type=Path), help="Write to this new file instead of standard output.")
def write_card(file: str, context_file: Path | None, new_context: bool, shape: str, output: Path | None) -> None:
    """Write the privacy card of FILE.

    The card is a data protection impact assessment (DPIA) for a privacy officer. It is filled in from the survey and
    from a context file, in which people answer what the survey cannot say. An open question appears as "NOT ANSWERED",
    and the card counts them. No file is ever overwritten.
    """
    survey = Survey.load(file)
    if new_context:
        if output is not None:
            raise click.UsageError("--new-context writes no card; leave out --output, or name the file with --context")
        _create_context(survey, file, context_file or context_path(Path(file)))
        return
    context = load_context(context_file, survey) if context_file else find_context(file, survey) or Context()
    text = FORMATS[shape](card(survey, context))
    if output is None:
        if shape == "html":  # the page says that it is UTF-8
            print_data(text)
        else:
            print_text(text.removesuffix("\n"))
        return
    write_new_file(output, text, "card.html" if shape == "html" else "card.md")
    print_text(f"wrote {output}; {Readiness.of(survey, context)}", err=True)


def _create_context(survey: Survey, survey_file: str, path: Path) -> None:
    write_new_file(path, starter(survey, Path(survey_file).name), "survey.card.toml")
    command = f"hushtally survey card {shlex.quote(survey_file)}"
    if path != context_path(Path(survey_file)):
        command += f" --context {shlex.quote(str(path))}"
    print_text(f"wrote {path}; answer its questions, then: {command}", err=True)
