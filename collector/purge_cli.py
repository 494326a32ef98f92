"""`hushtally purge`: erases what is over in a database that nobody serves any more."""

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
    """Erase the counts whose retention is over.

    A collector does so by itself, at its start and every day. This is for a database that nobody serves any more: run
    it every day until it says of every survey that nothing is kept.
    """
    with suppress(PermissionError):  # what may not even be looked at the store refuses
        if not database.exists():
            raise StoreError(f"{database}: there is no such database")
    with closing(SqliteStore(database)) as store:
        erasures = store.purge(utc_today())
        if not erasures:
            click.echo(f"{database}: nothing to erase; it holds no survey")
        for erasure in erasures:
            if erasure.problem is None:
                click.echo(str(erasure))
        problems = [erasure.problem for erasure in erasures if erasure.problem is not None]
        try:
            if not store.settle():
                problems.append(
                    f"{database}: another program uses it, so that its log may still hold what was erased; run it again"
                )
        except StoreError as error:
            problems.append(f"copies of what was erased may be left: {error}; run it again")
    if problems:
        raise StoreError("\n".join(problems))
