"""The option that names the database, for every command of the collector."""

from __future__ import annotations

from pathlib import Path

import click

database_option = click.option(
    "--database",
    envvar="HUSHTALLY_DATABASE",
    default="./hushtally.db",
    show_default=True,
    type=click.Path(path_type=Path),
    help="The collector's database (HUSHTALLY_DATABASE).",
)
