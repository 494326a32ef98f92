"""`hushtally purge`: erases expired counts in a database that no collector uses any more."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import click

from hushtally.client_sdk.clock import utc_today
from hushtally.collector.database_option import database_option
from hushtally.collector.sqlite_store import SqliteStore
from hushtally.collector.store import StoreError
from hushtally.output.progress import progress_bar
from hushtally.output.streams import print_text


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
    with progress_bar(f"Opening {database}", None):
        store = SqliteStore(database)
    try:
        with progress_bar("Erasing expired counts", None):
            erasures = store.purge(utc_today())
        problems = [erasure.problem for erasure in erasures if erasure.problem is not None]
        problems += _clear(store, database)
    finally:
        with progress_bar(f"Closing {database}", None):
            store.close()
    with suppress(BrokenPipeError):  # the counts are erased, whether or not anybody reads the result
        if not erasures:
            print_text(f"{database}: nothing to erase; the database contains no survey")
        for erasure in erasures:
            if erasure.problem is None:
                print_text(str(erasure))
    if problems:
        raise StoreError("\n".join(problems))


def _clear(store: SqliteStore, database: Path) -> list[str]:
    """Remove the copies of erased counts from the file and its log; returns why copies may be left."""
    try:
        with progress_bar("Removing copies of erased counts", None):
            if store.checkpoint():
                return []
    except StoreError as error:
        return [f"copies of erased counts may be left: {error}; run `hushtally purge` again"]
    return [
        f"{database}: another program is using the database, so the write-ahead log may still contain erased counts;"
        " run `hushtally purge` again"
    ]
