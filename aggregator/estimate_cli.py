"""`hushtally estimate`: what the collected reports say about the customers."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import click

from hushtally.aggregator.click_command import Command
from hushtally.aggregator.database import Database
from hushtally.aggregator.errors import DatabaseError
from hushtally.aggregator.estimate import CONFIDENCE_RANGE, POPULATIONS
from hushtally.aggregator.intervals import Population
from hushtally.aggregator.rows import to_csv, to_json
from hushtally.aggregator.summary import Row, summarize
from hushtally.aggregator.tables import print_tables
from hushtally.aggregator.terminal import console
from hushtally.client_sdk.error_text import shown
from hushtally.client_sdk.stale_log import stale_log
from hushtally.client_sdk.survey import Survey

VERSION = re.compile(r"[0-9]{1,18}")


@click.command("estimate", cls=Command)
@click.argument("survey")
@click.option("--question", "questions", multiple=True, metavar="ID", help="Only this question; may be repeated.")
@click.option(
    "--epoch", "epochs", multiple=True, metavar="EPOCH", help="Only this epoch, like 2026-W48; may be repeated."
)
@click.option("--by", multiple=True, metavar="COHORT", help="Apart for every value of a cohort; may be repeated.")
@click.option(
    "--confidence",
    type=click.FloatRange(*CONFIDENCE_RANGE),
    default=0.95,
    show_default=True,
    help="How often an interval holds the share.",
)
@click.option(
    "--population",
    type=click.Choice(POPULATIONS),
    default="customers",
    show_default=True,
    help="Whose shares: of all customers, or of just those who answered.",
)
@click.option("--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
@click.option(
    "--database",
    envvar="HUSHTALLY_DATABASE",
    default="./hushtally.db",
    show_default=True,
    type=click.Path(path_type=Path),
    help="The collector's database.",
)
def estimate(
    survey: str,
    questions: tuple[str, ...],
    epochs: tuple[str, ...],
    by: tuple[str, ...],
    confidence: float,
    population: Population,
    form: str,
    database: Path,
) -> None:
    """The share of customers in every segment, with intervals.

    SURVEY is a survey file, or the id (or id@version) of a survey in the database; without a version the newest.
    """
    _require_no_log(database)
    with Database.open(database) as opened:
        found = find_survey(survey, opened)
        if survey == found.id:
            _tell_older(found, opened)
        tallies = opened.tallies(found)
    rows = summarize(
        found,
        tallies,
        by=by,
        confidence=confidence,
        population=population,
        questions=questions or None,
        epochs=(epochs or None) if tallies else None,
    )
    if not rows:
        click.echo(f"nothing collected yet, or kept no longer, for {found.name} in {database}", err=True)
    _show(rows, found, form)


def _require_no_log(database: Path) -> None:
    # not in Database.open, whose process may have a collector's store on the file
    with suppress(OSError):  # what cannot be read is refused as it is opened
        if problem := stale_log(database):
            raise DatabaseError(problem)


def find_survey(name: str, database: Database) -> Survey:
    """The survey of the database that a file or an id names.

    SurveyError for a file that is wrong; DatabaseError for one that is not there, or a file that differs from the
    survey of the same name that is; BadParameter for a version that is no number.
    """
    if name.endswith(".toml") or "/" in name or Path(name).is_file():
        survey = Survey.load(name)
        if not database.agree(survey):
            versions = [version for id, version in database.surveys() if id == survey.id]
            known = f"version {', '.join(map(str, versions))}" if versions else f"no survey {survey.id!r}"
            raise DatabaseError(
                f"nothing collected yet for {survey.name}; {database.path} has {known}: is serve running with {name}?"
            )
        return survey
    id, at, version = name.partition("@")
    if not at:
        return database.survey(id)
    if not VERSION.fullmatch(version):
        raise click.BadParameter(f"version must be a number, got {shown(version)}", param_hint="SURVEY")
    return database.survey(id, int(version))


def _tell_older(newest: Survey, database: Database) -> None:
    """Whoever names no version gets the newest, which may have come today: the others' reports are not lost."""
    for id, version in database.surveys():
        if id != newest.id or version == newest.version:
            continue
        with suppress(DatabaseError):  # one that is damaged is not what was asked for
            if epochs := database.epochs(database.survey(id, version)):
                which = epochs[0] if len(epochs) == 1 else f"{epochs[0]} to {epochs[-1]}"
                click.echo(
                    f"this is {newest.name}; v{version} has reports of {which}: name {id}@{version} to read them",
                    err=True,
                )


def _show(rows: list[Row], survey: Survey, form: str) -> None:
    if form == "json":
        click.echo(to_json(rows), nl=False)
    elif form == "csv":
        click.echo(to_csv(rows), nl=False)
    else:
        print_tables(rows, survey, console())
