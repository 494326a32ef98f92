"""The --database option of the collector's commands."""

from __future__ import annotations

from pathlib import Path

import click

database_option = click.option(
    "--database",
    metavar="FILE",
    envvar="HUSHTALLY_DATABASE",
    default="./hushtally.db",
    show_default=True,
    show_envvar=True,
    type=click.Path(path_type=Path),
    help="The collector's database.",
)
