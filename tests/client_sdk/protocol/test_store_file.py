"""The tables of the collector's database: their statements agree with SQLite."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from hushtally.client_sdk.protocol.store_file import COLLECTOR_TABLES, Table


@pytest.mark.parametrize("table", COLLECTOR_TABLES, ids=lambda table: table.name)
def test_a_table_has_the_name_and_the_columns_that_its_statement_creates(table: Table) -> None:
    """In the same order, because rows are inserted and selected by position; and without a rowid."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(table.create)
        ((name, without_rowid),) = connection.execute(
            "SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite_%'"
        )
        columns = tuple(row[1] for row in connection.execute(f"PRAGMA table_info({table.name})"))
    assert (name, without_rowid, columns) == (table.name, 1, table.columns)


@pytest.mark.parametrize("table", COLLECTOR_TABLES, ids=lambda table: table.name)
def test_a_row_that_is_inserted_is_selected_again(table: Table) -> None:
    row = tuple(range(len(table.columns)))
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(table.create)
        connection.execute(table.insert, row)
        (found,) = connection.execute(table.select)
    assert tuple(map(int, found)) == row
