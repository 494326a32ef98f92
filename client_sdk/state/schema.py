"""The tables of a state file. They are created only in an empty file; another program's database is left unchanged."""

from __future__ import annotations

import os
import sqlite3

from hushtally.client_sdk.errors import StateError
from hushtally.client_sdk.protocol.store_file import DEVICE
from hushtally.client_sdk.state import checksum

VERSION = 2

_TABLES = """
CREATE TABLE file(
    salt BLOB NOT NULL, mark_token BLOB, mark_inode TEXT, pending_token BLOB, pending_inode TEXT,
    mark_due INTEGER NOT NULL DEFAULT 0, rollbacks INTEGER NOT NULL, rollback_day INTEGER,
    erasures_requested INTEGER NOT NULL, erasures_done INTEGER NOT NULL DEFAULT 0, devices_checksum BLOB NOT NULL,
    checksum BLOB);
CREATE TABLE devices(
    device INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, withdrawals INTEGER NOT NULL DEFAULT 0,
    checksum BLOB NOT NULL);
CREATE TABLE consents(
    device INTEGER, survey TEXT, version INTEGER NOT NULL, digest TEXT NOT NULL, granted INTEGER NOT NULL,
    at TEXT NOT NULL, shown TEXT, PRIMARY KEY(device, survey)) WITHOUT ROWID;
CREATE TABLE cohorts(
    device INTEGER, name TEXT, value TEXT NOT NULL, PRIMARY KEY(device, name)) WITHOUT ROWID;
CREATE TABLE texts(hash TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE events(
    id INTEGER PRIMARY KEY, device INTEGER NOT NULL, day INTEGER NOT NULL, expires INTEGER NOT NULL,
    name TEXT NOT NULL, fields TEXT NOT NULL);
CREATE INDEX events_by_device ON events(device);
CREATE TABLE schedules(
    device INTEGER, digest TEXT, survey TEXT NOT NULL, permanent INTEGER NOT NULL, ends INTEGER NOT NULL,
    questions TEXT NOT NULL, phase INTEGER NOT NULL, handled INTEGER NOT NULL, reserved REAL NOT NULL,
    rollbacks INTEGER NOT NULL, silent TEXT, version INTEGER NOT NULL, PRIMARY KEY(device, digest)) WITHOUT ROWID;
CREATE TABLE answers(
    device INTEGER, digest TEXT, question TEXT, value INTEGER, symbol INTEGER NOT NULL, used INTEGER NOT NULL,
    PRIMARY KEY(device, digest, question, value)) WITHOUT ROWID;
CREATE TABLE ledger(
    device INTEGER, survey TEXT, question TEXT, epoch TEXT, digest TEXT NOT NULL, epsilon REAL NOT NULL,
    PRIMARY KEY(device, survey, question, epoch)) WITHOUT ROWID;
CREATE TABLE outbox(
    device INTEGER, batch TEXT, digest TEXT NOT NULL, due REAL NOT NULL, expires INTEGER NOT NULL, sent_in TEXT,
    body BLOB NOT NULL, PRIMARY KEY(device, batch)) WITHOUT ROWID;
CREATE INDEX outbox_by_due ON outbox(due);
CREATE INDEX outbox_by_mix ON outbox(sent_in) WHERE sent_in IS NOT NULL AND sent_in <> batch;
CREATE TABLE mixes(batch TEXT PRIMARY KEY, digest TEXT NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE counters(
    device INTEGER, name TEXT, count INTEGER NOT NULL, PRIMARY KEY(device, name)) WITHOUT ROWID;
"""

# Version 1 wrote the token into the existing mark file. Its columns pending_since and mark_changed stay, unused.
_FROM_VERSION_1 = """
ALTER TABLE file ADD COLUMN pending_inode TEXT;
ALTER TABLE file ADD COLUMN mark_due INTEGER NOT NULL DEFAULT 0;
UPDATE file SET pending_inode = mark_inode WHERE pending_token IS NOT NULL;
CREATE TABLE cohorts(
    device INTEGER, name TEXT, value TEXT NOT NULL, PRIMARY KEY(device, name)) WITHOUT ROWID;
ALTER TABLE outbox ADD COLUMN sent_in TEXT;
UPDATE outbox SET sent_in = batch;
CREATE INDEX outbox_by_due ON outbox(due);
CREATE INDEX outbox_by_mix ON outbox(sent_in) WHERE sent_in IS NOT NULL AND sent_in <> batch;
CREATE TABLE mixes(batch TEXT PRIMARY KEY, digest TEXT NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
"""


def exists(connection: sqlite3.Connection, path: str) -> bool:
    """Return whether the file has these tables, False if it is empty. Raises StateError for any other database."""
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
        return False
    if connection.execute("PRAGMA application_id").fetchone()[0] != DEVICE:
        raise StateError(f"{path} is not a state file but another database")
    if connection.execute("PRAGMA user_version").fetchone()[0] > VERSION:
        raise StateError(f"the state file {path} was written by a newer version of hushtally")
    return True


def create(connection: sqlite3.Connection) -> None:
    """Create the tables; within a transaction."""
    _execute(connection, _TABLES)
    connection.execute(
        "INSERT INTO file(salt, rollbacks, erasures_requested, devices_checksum) VALUES (?, 0, 0, ?)",
        (os.urandom(16), bytes(32)),
    )
    checksum.update_file(connection)
    connection.execute(f"PRAGMA application_id = {DEVICE}")
    connection.execute(f"PRAGMA user_version = {VERSION}")


def upgrade(connection: sqlite3.Connection) -> None:
    """Add what an older version of hushtally did not have to its tables; within a transaction."""
    if connection.execute("PRAGMA user_version").fetchone()[0] < VERSION:
        _execute(connection, _FROM_VERSION_1)
        connection.execute(f"PRAGMA user_version = {VERSION}")


def _execute(connection: sqlite3.Connection, statements: str) -> None:
    for statement in filter(str.strip, statements.split(";")):
        connection.execute(statement)
