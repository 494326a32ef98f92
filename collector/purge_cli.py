"""`hushtally purge`: erases expired counts in a database that no collector uses any more."""

from __future__ import annotations

from contextlib import closing, suppress
from pathlib import Path

import click

from hushtally.client_sdk.clock import utc_today
from hushtally.collector.database_option import database_option
from hushtally.collector.sqlite_store import SqliteStore
from hushtally.collector.store import StoreError


@click.command()
@database_option
def purge(database: Path) -> None:
    """Erase the counts whose retention has ended.

    A collector does this at its start and on every day. After you stop collecting, run this command daily until it
    reports for every survey that nothing is left.
    """
    with suppress(PermissionError):  # the store refuses a path that may not be examined
        if not database.exists():
            raise StoreError(f"{database}: this database does not exist")
    with closing(SqliteStore(database)) as store:
        erasures = store.purge(utc_today())
        problems = [erasure.problem for erasure in erasures if erasure.problem is not None]
        try:
            if not store.checkpoint():
                problems.append(
                    f"{database}: another program is using the database, so the write-ahead log may still contain"
                    " erased counts; run `hushtally purge` again"
                )
        except StoreError as error:
            problems.append(f"copies of erased counts may be left: {error}; run `hushtally purge` again")
    with suppress(BrokenPipeError):  # the counts are erased, whether or not anybody reads the result
        if not erasures:
            click.echo(f"{database}: nothing to erase; the database contains no survey")
        for erasure in erasures:
            if erasure.problem is None:
                click.echo(str(erasure))
    if problems:
        raise StoreError("\n".join(problems))
