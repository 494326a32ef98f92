"""`hushtally serve`: the collector as one process."""

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
from hushtally.collector.startup_warnings import takes_reports


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65_535), help="0: any that is free.")
@database_option
@click.option(
    "--threads", default=32, show_default=True, type=click.IntRange(1, 1_000), help="Requests answered at a time."
)
def serve(files: tuple[Path, ...], host: str, port: int, database: Path, threads: int) -> None:
    """Collect reports for the surveys in FILE..., until told to stop.

    A survey that has ended may be among them: its reports are refused, its counts erased when their retention is over.
    Stopped by SIGTERM or SIGINT, it answers what it has begun, and leaves the database in its one file. A second one
    may count into the same database, as while it replaces the first: each batch counts once. TLS is for the proxy in
    front.
    """
    surveys = _load(files)
    # the port first: a second server by mistake shall not touch the database
    with listen(host, port) as listening:
        place = f"{'' if database.exists() else 'the new database '}{database.absolute()}"
        app = create_app(surveys, database)
        try:
            server = Server(app, listening, threads)
            today = utc_today()
            names = ", ".join(survey.name for survey in surveys if takes_reports(survey, today)) or "nothing"
            ready = f"hushtally: collecting {names} into {place} at {address(listening)}"
            server.run(lambda: click.echo(ready, err=True))
        finally:
            app.extensions["hushtally"].close()
        click.echo("hushtally: stopped; every answered batch is counted", err=True)


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
            mistakes.append(f"{file}: is {survey.name}, and so is {first}: name one of them, or give one a new version")
    if mistakes:
        raise SurveyError("\n".join(mistakes))
    return [survey for _, survey in surveys.values()]
