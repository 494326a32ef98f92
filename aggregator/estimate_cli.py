"""`hushtally estimate`: prints the estimates of a survey from the collector's database."""

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
from hushtally.output.progress import progress_bar
from hushtally.output.streams import print_data, print_text

VERSION = re.compile(r"[0-9]{1,18}")


@click.command("estimate", cls=Command)
@click.argument("survey")
@click.option("--question", "questions", multiple=True, metavar="ID", help="Only this question. Repeatable.")
@click.option(
    "--epoch", "epochs", multiple=True, metavar="EPOCH", help="Only this epoch, for example 2026-W48. Repeatable."
)
@click.option(
    "--by", multiple=True, metavar="COHORT", help="Separate estimates for each value of a cohort. Repeatable."
)
@click.option(
    "--confidence",
    type=click.FloatRange(*CONFIDENCE_RANGE),
    default=0.95,
    show_default=True,
    help="How often an interval contains the true share.",
)
@click.option(
    "--population",
    type=click.Choice(POPULATIONS),
    default="customers",
    show_default=True,
    help="Whose shares: those of all customers, or of the respondents only.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    help="The format of the output.",
)
@click.option(
    "--database",
    metavar="FILE",
    envvar="HUSHTALLY_DATABASE",
    default="./hushtally.db",
    show_default=True,
    show_envvar=True,
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
    """Estimate the share of customers in every segment, with confidence intervals.

    SURVEY is a survey file, or the id (or id@version) of a survey in the database. An id without a version selects the
    newest version.
    """
    _require_own_log(database)
    with Database.open(database) as opened:
        found = find_survey(survey, opened)
        if survey == found.id:
            _report_other_versions(found, opened)
        with progress_bar(f"Reading {database}", None):
            tallies = opened.tallies(found)
    with progress_bar("Estimating", None):
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
        print_text(
            f"{database} has no reports of {found.name}: none were collected yet, or their retention has ended",
            err=True,
        )
    _print_rows(rows, found, form)


def _require_own_log(database: Path) -> None:
    # not in Database.open: that process may have a collector's store open on the file
    with suppress(OSError):  # Database.open refuses a file that cannot be read
        if problem := stale_log(database):
            raise DatabaseError(problem)


def find_survey(name: str, database: Database) -> Survey:
    """The survey in the database that a file, an id or id@version names.

    Raises SurveyError for an invalid survey file; DatabaseError if the database does not contain the survey, or
    contains a different survey of the same name; BadParameter if the version is not a number.
    """
    if name.endswith(".toml") or "/" in name or Path(name).is_file():
        survey = Survey.load(name)
        if not database.contains(survey):
            versions = [version for id, version in database.surveys() if id == survey.id]
            known = f"version {', '.join(map(str, versions))}" if versions else f"no survey {survey.id!r}"
            raise DatabaseError(
                f"{database.path} does not contain {survey.name} (it contains {known});"
                f" is `hushtally serve` running with {name} and this database?"
            )
        return survey
    id, at, version = name.partition("@")
    if not at:
        return database.survey(id)
    if not VERSION.fullmatch(version):
        raise click.BadParameter(f"version must be a number, got {shown(version)}", param_hint="SURVEY")
    return database.survey(id, int(version))


def _report_other_versions(newest: Survey, database: Database) -> None:
    """Prints which other versions have reports: the newest version may be new today."""
    for id, version in database.surveys():
        if id != newest.id or version == newest.version:
            continue
        with suppress(DatabaseError):  # a damaged version was not requested
            if epochs := database.epochs(database.survey(id, version)):
                which = epochs[0] if len(epochs) == 1 else f"{epochs[0]} to {epochs[-1]}"
                print_text(
                    f"showing {newest.name}; v{version} has reports of {which}: use {id}@{version} to read them",
                    err=True,
                )


def _print_rows(rows: list[Row], survey: Survey, form: str) -> None:
    if form == "json":
        print_data(to_json(rows))
    elif form == "csv":
        print_data(to_csv(rows))
    else:
        print_tables(rows, survey, console())
