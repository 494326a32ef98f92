"""The SQLite files of the project: the application id of each kind, and the tables of the collector's database."""

from __future__ import annotations

from typing import NamedTuple

DEVICE = 0x68757364  # "husd": a device's state file
COLLECTOR = 0x68757368  # "hush": a collector's database
COLLECTOR_SCHEMA = 1  # the newest schema version of a collector's database, stored as its user version


class Table(NamedTuple):
    """One table: its name, its columns in order, and the statement that creates it.

    No table has a rowid: rowids would number the rows in the order of their arrival.
    """

    name: str
    columns: tuple[str, ...]
    create: str

    @property
    def insert(self) -> str:
        """The INSERT statement for one row, with a placeholder for every column."""
        return f"INSERT INTO {self.name} VALUES ({', '.join('?' * len(self.columns))})"

    @property
    def select(self) -> str:
        """The SELECT statement for all columns in their order, without a WHERE clause."""
        return f"SELECT {', '.join(self.columns)} FROM {self.name}"


SURVEYS = Table(
    "surveys",
    ("id", "version", "digest", "definition"),
    """CREATE TABLE surveys (
        id TEXT NOT NULL, version INTEGER NOT NULL, digest TEXT NOT NULL, definition TEXT NOT NULL,
        PRIMARY KEY (id, version)
    ) WITHOUT ROWID""",
)
CELLS = Table(
    "cells",
    ("cell", "survey", "version", "question", "cohort", "epoch"),
    """CREATE TABLE cells (
        cell INTEGER NOT NULL PRIMARY KEY,
        survey TEXT NOT NULL, version INTEGER NOT NULL, question TEXT NOT NULL,
        cohort TEXT NOT NULL, epoch TEXT NOT NULL,
        UNIQUE (survey, version, question, cohort, epoch)
    ) WITHOUT ROWID""",
)
COUNTS = Table(
    "counts",
    ("cell", "symbol", "count"),
    """CREATE TABLE counts (
        cell INTEGER NOT NULL, symbol INTEGER NOT NULL, count INTEGER NOT NULL,
        PRIMARY KEY (cell, symbol)
    ) WITHOUT ROWID""",
)
BATCHES = Table(
    "batches",
    ("id", "outcome", "expires"),
    """CREATE TABLE batches (
        id BLOB NOT NULL PRIMARY KEY, outcome BLOB NOT NULL, expires TEXT NOT NULL
    ) WITHOUT ROWID""",
)
COLLECTOR_TABLES = (SURVEYS, CELLS, COUNTS, BATCHES)


def collector_problem(application: int, version: int) -> str | None:
    """Why a file with this application id and user version is not a usable collector's database; None if it is."""
    if application == DEVICE:
        return "is a device's state file, not a collector's database"
    if application != COLLECTOR:
        return "is not a hushtally database"
    if version > COLLECTOR_SCHEMA:
        return (
            f"was written by a newer hushtally (schema {version}; this version supports {COLLECTOR_SCHEMA});"
            " upgrade hushtally"
        )
    return None
