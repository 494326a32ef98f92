"""Options of tune and simulate that select the output: tables, rows for a program, a page, or pictures."""

from __future__ import annotations

import functools
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from hushtally.aggregator.rows import to_csv, to_json
from hushtally.client_sdk.clock import utc_today
from hushtally.client_sdk.survey import Survey
from hushtally.output.output_file import create_folder, write_file
from hushtally.output.streams import encoding_of, print_data, print_text
from hushtally.simulations.charts.png import to_png
from hushtally.simulations.charts.svg import to_svg
from hushtally.simulations.charts.text import to_text
from hushtally.simulations.cli.assumptions import Assumptions
from hushtally.simulations.cli.option_types import OutputFile, OutputFolder
from hushtally.simulations.cli.page import Page
from hushtally.simulations.cli.picture import Picture
from hushtally.version import VERSION

OPTIONS = (
    click.option(
        "--format",
        "form",
        type=click.Choice(["table", "json", "csv"]),
        default="table",
        show_default=True,
        help="Print tables for people, or JSON or CSV with one row per line for programs.",
    ),
    click.option("--output", type=OutputFile(), help="Write the results and pictures to one HTML page (page.html)."),
    click.option("--pictures", type=OutputFolder(), help="Write the pictures to this folder as SVG and PNG files."),
    click.option("--draw", is_flag=True, help="Print the pictures in the terminal."),
)
OUTPUT_PARAMETERS = ("output", "pictures", "draw", "form", "write")  # they do not change any figure


@dataclass(frozen=True)
class Presentation:
    """The values of these options."""

    form: str
    output: Path | None
    pictures: Path | None
    draw: bool

    @property
    def as_table(self) -> bool:
        """Whether the results are printed as tables for people."""
        return self.form == "table"

    @property
    def needs_pictures(self) -> bool:
        """Whether any option asks for pictures."""
        return bool(self.output or self.pictures or self.draw)

    def write(self, page: Page) -> None:
        """Write the page and the pictures to the files that the options name; call this before anything is printed."""
        files: dict[Path, str | bytes] = {}
        if self.pictures:
            for picture in page.pictures:
                files[self.pictures / f"{picture.name}.svg"] = to_svg(picture.chart)
                files[self.pictures / f"{picture.name}.png"] = to_png(picture.chart)
        if self.output:
            files[self.output] = page.html()
        if self.pictures:
            create_folder(self.pictures)
        for path, content in files.items():
            write_file(path, content)

    def print_rows(self, rows: list[Any]) -> None:
        """Print rows as JSON or CSV."""
        print_data(to_json(rows) if self.form == "json" else to_csv(rows, type(rows[0])))

    def print_pictures(self, pictures: Sequence[Picture]) -> None:
        """With --draw, print the pictures as text; on stderr if the rows for a program are on stdout."""
        if self.draw:
            stream = sys.stdout if self.as_table else sys.stderr
            charts = [to_text(picture.chart, encoding_of(stream)) for picture in pictures]
            print_text("\n" + "\n\n".join(charts), err=not self.as_table)


def presentation_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add these options to a command; it receives them as the argument `presentation`."""

    @functools.wraps(command)
    def with_options(form: str, output: Path | None, pictures: Path | None, draw: bool, **others: Any) -> Any:
        return command(presentation=Presentation(form, output, pictures, draw), **others)

    for option in reversed(OPTIONS):
        with_options = option(with_options)
    return with_options


def page_facts(survey: Survey, truth: str, assumptions: Assumptions) -> dict[str, str]:
    """The survey and the assumptions of a page, and the command that creates the page again."""
    return {
        "survey": f"{survey.name}: {survey.title}",
        "survey digest": survey.digest,
        "true shares": truth,
        "devices": f"{assumptions.devices:,}, of which {100 * assumptions.participation:.4g}% take part",
        "command": _command_line(),
        "created": f"{utc_today()} by hushtally {VERSION}",
    }


def _command_line() -> str:
    """The current command line, without the options that do not change any figure."""
    context = click.get_current_context()
    words = ["hushtally", context.info_name or ""]
    for parameter in context.command.params:
        name = parameter.name or ""
        if name in OUTPUT_PARAMETERS or context.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        value = context.params[name]
        option = parameter.opts[-1:] if isinstance(parameter, click.Option) else []
        for single in value if isinstance(value, tuple) else (value,):
            words += [*option, str(single)]
    return shlex.join(words)
