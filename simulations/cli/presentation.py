"""How tune and simulate show what they found: as tables or rows for a program, as a page, as pictures."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from hushtally.aggregator.rows import to_csv, to_json
from hushtally.client_sdk.clock import utc_today
from hushtally.client_sdk.survey import Survey
from hushtally.simulations.charts.render import to_png, to_svg, to_text
from hushtally.simulations.cli.assumptions import Assumptions
from hushtally.simulations.cli.option_types import NewFile, NewFolder
from hushtally.simulations.cli.page import Page
from hushtally.simulations.cli.picture import Picture

OPTIONS = (
    click.option(
        "--format",
        "form",
        type=click.Choice(["table", "json", "csv"]),
        default="table",
        show_default=True,
        help="For a reader, or one row per line for a program.",
    ),
    click.option("--output", type=NewFile(), help="Write all of it, with pictures, as one page (page.html)."),
    click.option("--pictures", type=NewFolder(), help="Write the pictures into this folder, as SVG and PNG."),
    click.option("--draw", is_flag=True, help="Show the pictures in the terminal."),
)
NO_FIGURES = ("output", "pictures", "draw", "form", "write")  # options that change no figure


@dataclass(frozen=True)
class Presentation:
    """The options that say how it is shown."""

    form: str
    output: Path | None
    pictures: Path | None
    draw: bool

    @property
    def as_table(self) -> bool:
        """Whether it is for a reader rather than a program."""
        return self.form == "table"

    @property
    def drawn(self) -> bool:
        """Whether pictures are wanted."""
        return bool(self.output or self.pictures or self.draw)

    def write(self, page: Page) -> None:
        """Writes the page and its pictures, as far as they are wanted: before anything is printed."""
        if self.output:
            self.output.write_text(page.html(), encoding="utf-8")
        if self.pictures:
            self.pictures.mkdir(parents=True, exist_ok=True)
            for picture in page.pictures:
                (self.pictures / f"{picture.name}.svg").write_text(to_svg(picture.chart), encoding="utf-8")
                (self.pictures / f"{picture.name}.png").write_bytes(to_png(picture.chart))

    def print_rows(self, rows: list[Any]) -> None:
        """Prints rows for a program."""
        click.echo(to_json(rows) if self.form == "json" else to_csv(rows, type(rows[0])), nl=False)

    def print_pictures(self, drawn: Sequence[Picture]) -> None:
        """Prints the pictures in characters if wanted, beside the tables and not among rows for a program."""
        if self.draw:
            click.echo("\n" + "\n\n".join(to_text(picture.chart) for picture in drawn), err=not self.as_table)


def presenting(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command these options, as one argument `shown`."""

    @functools.wraps(command)
    def folded(form: str, output: Path | None, pictures: Path | None, draw: bool, **others: Any) -> Any:
        return command(shown=Presentation(form, output, pictures, draw), **others)

    for option in reversed(OPTIONS):
        folded = option(folded)
    return folded


def facts(survey: Survey, truth: str, supposed: Assumptions) -> dict[str, str]:
    """What a page is about and how it was made, so that it can be checked and made again."""
    return {
        "survey": f"{survey.name}: {survey.title}",
        "digest as read": survey.digest,
        "truth supposed": truth,
        "devices": f"{supposed.devices:,}, of which {100 * supposed.participation:.4g}% take part",
        "command": _command(),
        "made": f"{utc_today()} by hushtally {metadata.version('hushtally')}",
    }


def _command() -> str:
    """The command as it was called, without the options that change no figure."""
    context = click.get_current_context()
    words = ["hushtally", context.info_name or ""]
    for parameter in context.command.params:
        name = parameter.name or ""
        if name in NO_FIGURES or context.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        value = context.params[name]
        option = parameter.opts[-1:] if isinstance(parameter, click.Option) else []
        for one in value if isinstance(value, tuple) else (value,):
            words += [*option, str(one)]
    return shlex.join(words)
