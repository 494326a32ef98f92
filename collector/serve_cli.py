"""`hushtally serve`: runs the collector as one process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from hushtally.client_sdk.clock import utc_today
from hushtally.client_sdk.errors import SurveyError
from hushtally.client_sdk.survey import Survey
from hushtally.collector.app import create_app
from hushtally.collector.database_option import database_option
from hushtally.collector.server import Server, address, listen
from hushtally.collector.startup_warnings import accepts_reports
from hushtally.output.progress import progress_bar
from hushtally.output.streams import print_text


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    default=8080,
    show_default=True,
    type=click.IntRange(0, 65_535),
    help="The port to listen on; 0 selects a free port.",
)
@database_option
@click.option(
    "--threads",
    default=32,
    show_default=True,
    type=click.IntRange(1, 1_000),
    help="How many requests are processed at the same time.",
)
def serve(files: tuple[Path, ...], host: str, port: int, database: Path, threads: int) -> None:
    """Collect reports for the surveys in one or more files.

    SIGTERM, SIGINT or SIGHUP stops the collector: it finishes the requests that it has begun, and leaves a single
    database file. A survey that has ended may be included: its reports are rejected, and its counts are erased when
    their retention ends. Two collectors may use one database, for example while one replaces the other: every batch is
    counted exactly once. For TLS, put a proxy in front of the collector.
    """
    surveys = _load(files)
    # listen first: a second collector that is started by mistake must not touch the database
    with listen(host, port) as listening:
        place = f"{'' if database.exists() else 'the new database '}{database.absolute()}"
        with progress_bar(f"Opening {database}", None):
            app = create_app(surveys, database)
        try:
            server = Server(app, listening, threads)
            today = utc_today()
            names = ", ".join(survey.name for survey in surveys if accepts_reports(survey, today)) or "nothing"
            ready = f"hushtally: collecting {names} into {place} at {address(listening)}"
            server.run(lambda: print_text(ready, err=True))
        finally:
            with progress_bar(f"Closing {database}", None):
                app.extensions["hushtally"].close()
        print_text("hushtally: stopped; every acknowledged batch is counted", err=True)


def _load(files: Sequence[Path]) -> list[Survey]:
    surveys: dict[str, tuple[Path, Survey]] = {}
    mistakes = []
    for file in files:
        try:
            survey = Survey.load(file)
        except SurveyError as error:
            mistakes.append(str(error))
            continue
        first, _ = surveys.setdefault(survey.name, (file, survey))
        if first is not file:
            mistakes.append(
                f"{file}: contains {survey.name}, and so does {first}: serve one of the two files, or change the"
                " version in one of them"
            )
    if mistakes:
        raise SurveyError("\n".join(mistakes))
    return [survey for _, survey in surveys.values()]
