"""`hushtally estimate`: prints the estimates of a survey from the collector's database."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from hushtally.aggregator.database import Database
from hushtally.aggregator.errors import ArgumentError, DatabaseError
from hushtally.aggregator.estimate_command import EstimateCommand
from hushtally.aggregator.row import Row
from hushtally.aggregator.rows import to_csv, to_json
from hushtally.aggregator.selection import Selection
from hushtally.aggregator.selection_options import selection_options
from hushtally.aggregator.statistic_tables import print_statistic_tables
from hushtally.aggregator.summary import summarize_selection
from hushtally.aggregator.tables import print_tables
from hushtally.aggregator.terminal import console
from hushtally.aggregator.verbs.always_valid import always_valid_rows
from hushtally.aggregator.verbs.smooth import smooth_gap_rows, smooth_rows
from hushtally.client_sdk.error_text import shown
from hushtally.client_sdk.stale_log import stale_log
from hushtally.client_sdk.survey import Survey
from hushtally.output.progress import progress_bar
from hushtally.output.streams import print_data, print_text

VERSION = re.compile(r"[0-9]{1,18}")


@click.command("estimate", cls=EstimateCommand)
@selection_options
@click.option(
    "--smooth",
    type=click.FloatRange(0, 100, max_open=True),
    metavar="POINTS",
    help="Smooth over epochs. You declare that no share moves by more than this many percentage points an epoch.",
)
@click.option(
    "--smooth-gap",
    type=click.FloatRange(0, 100, max_open=True),
    metavar="POINTS",
    help="With --by: the same for the gap between a group and all customers. All groups may move together.",
)
@click.option(
    "--always-valid",
    is_flag=True,
    help="Intervals that hold however often you look at an open epoch. They are about twice as long.",
)
def estimate(
    database: Path,
    survey: str,
    form: str,
    smooth: float | None,
    smooth_gap: float | None,
    always_valid: bool,
    **selected: Any,
) -> None:
    """Estimate the share of customers in every segment, with confidence intervals.

    SURVEY is a survey file, or the id (or id@version) of a survey in the database. An id without a version selects the
    newest version.

    Another statistic follows SURVEY, for example `estimate SURVEY rate --outcome returned=yes`.
    """
    ways = {"smooth": smooth is not None, "smooth-gap": smooth_gap is not None, "always-valid": always_valid}
    chosen = [name for name, given in ways.items() if given]
    if len(chosen) > 1:
        raise ArgumentError(chosen[1], f"cannot be combined with --{chosen[0]}")
    selection = read_selection(database, survey, **selected)
    with progress_bar("Estimating", None):
        if smooth is not None:
            rows = smooth_rows(selection, smooth / 100)
        elif smooth_gap is not None:
            rows = smooth_gap_rows(selection, smooth_gap / 100)
        elif always_valid:
            rows = always_valid_rows(selection)
        else:
            rows = summarize_selection(selection)
    (print_statistics if chosen else print_rows)(rows, selection, form)


def read_selection(database: Path, survey: str, **selected: Any) -> Selection:
    """Read the selection of a command's options from the database. Report on stderr what cannot be shown.

    selected: the arguments of Selection besides the survey and the tallies. An empty sequence of questions or epochs
    selects all of them.
    """
    _require_own_log(database)
    with Database.open(database) as opened:
        found = find_survey(survey, opened)
        if survey == found.id:
            _report_other_versions(found, opened)
        with progress_bar(f"Reading {database}", None):
            tallies = opened.tallies(found)
    if not tallies:
        print_text(
            f"{database} has no reports of {found.name}: none were collected yet, or their retention has ended",
            err=True,
        )
    for name in ("questions", "epochs"):
        selected[name] = selected[name] or None
    return Selection(found, tallies, **(selected if tallies else selected | {"epochs": None}))


def _require_own_log(database: Path) -> None:
    # not in Database.open, because that process may have a collector's store open on the file
    with suppress(OSError):  # Database.open refuses a file that cannot be read
        if problem := stale_log(database):
            raise DatabaseError(problem)


def find_survey(name: str, database: Database) -> Survey:
    """Return the survey in the database that a file, an id or id@version names.

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
    """Print which other versions have reports, because the newest version may have none yet."""
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


def print_statistics(rows: list[Row], selection: Selection, form: str) -> None:
    """Print rows in the requested form. The table is the one for statistics other than plain shares."""
    if form == "table":
        print_statistic_tables(rows, console())
    else:
        print_rows(rows, selection, form)


def print_rows(rows: list[Row], selection: Selection, form: str) -> None:
    """Print rows in the requested form."""
    if form == "json":
        print_data(to_json(rows))
    elif form == "csv":
        print_data(to_csv(rows))
    else:
        print_tables(rows, selection.survey, console())
