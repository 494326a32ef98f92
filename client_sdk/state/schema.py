"""The tables of a state file: made in an empty one, and none but an empty one; another file is left as it is."""

from __future__ import annotations

import os
import sqlite3

from hushtally.client_sdk.errors import StateError
from hushtally.client_sdk.protocol.store_file import DEVICE
from hushtally.client_sdk.state import checksum

VERSION = 1

_TABLES = """
CREATE TABLE file(
    salt BLOB NOT NULL, settled BLOB, pending BLOB, drawn INTEGER, mark TEXT, changed INTEGER,
    doubts INTEGER NOT NULL, doubted INTEGER, erasing INTEGER NOT NULL,
    erased INTEGER NOT NULL DEFAULT 0, census BLOB NOT NULL, seal BLOB);
CREATE TABLE devices(
    device INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, withdrawals INTEGER NOT NULL DEFAULT 0, seal BLOB NOT NULL);
CREATE TABLE consents(
    device INTEGER, survey TEXT, version INTEGER NOT NULL, digest TEXT NOT NULL, granted INTEGER NOT NULL,
    at TEXT NOT NULL, shown TEXT, PRIMARY KEY(device, survey)) WITHOUT ROWID;
CREATE TABLE texts(hash TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE events(
    id INTEGER PRIMARY KEY, device INTEGER NOT NULL, day INTEGER NOT NULL, goes INTEGER NOT NULL, name TEXT NOT NULL,
    fields TEXT NOT NULL);
CREATE INDEX events_by_device ON events(device);
CREATE TABLE schedules(
    device INTEGER, digest TEXT, survey TEXT NOT NULL, permanent INTEGER NOT NULL, ends INTEGER NOT NULL,
    questions TEXT NOT NULL, phase INTEGER NOT NULL, seen INTEGER NOT NULL, reserved REAL NOT NULL,
    doubts INTEGER NOT NULL, silent TEXT, version INTEGER NOT NULL, PRIMARY KEY(device, digest)) WITHOUT ROWID;
CREATE TABLE answers(
    device INTEGER, digest TEXT, question TEXT, value INTEGER, symbol INTEGER NOT NULL, used INTEGER NOT NULL,
    PRIMARY KEY(device, digest, question, value)) WITHOUT ROWID;
CREATE TABLE ledger(
    device INTEGER, survey TEXT, question TEXT, epoch TEXT, digest TEXT NOT NULL, epsilon REAL NOT NULL,
    PRIMARY KEY(device, survey, question, epoch)) WITHOUT ROWID;
CREATE TABLE outbox(
    device INTEGER, batch TEXT, digest TEXT NOT NULL, due REAL NOT NULL, expires INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY(device, batch)) WITHOUT ROWID;
CREATE TABLE counters(
    device INTEGER, name TEXT, count INTEGER NOT NULL, PRIMARY KEY(device, name)) WITHOUT ROWID;
"""


def found(connection: sqlite3.Connection, path: str) -> bool:
    """Whether the file has our tables, False for an empty one; StateError if it is another's."""
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
        return False
    if connection.execute("PRAGMA application_id").fetchone()[0] != DEVICE:
        raise StateError(f"the state file {path} is a database of something else")
    if connection.execute("PRAGMA user_version").fetchone()[0] > VERSION:
        raise StateError(f"the state file {path} was written by a newer hushtally")
    return True


def make(connection: sqlite3.Connection) -> None:
    """Makes the tables. Within a transaction."""
    for statement in filter(str.strip, _TABLES.split(";")):
        connection.execute(statement)
    connection.execute(
        "INSERT INTO file(salt, doubts, erasing, census) VALUES (?, 0, 0, ?)", (os.urandom(16), bytes(32))
    )
    connection.execute("UPDATE file SET seal = ?", (checksum.file(connection),))
    connection.execute(f"PRAGMA application_id = {DEVICE}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
