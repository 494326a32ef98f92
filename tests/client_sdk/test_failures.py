"""Descriptions of failures: in our own words, because the text of an error may quote what a customer did."""

import errno
import socket
import sqlite3
import ssl
from contextlib import closing

import pytest

from hushtally.client_sdk.delivery.transport import NoResponse
from hushtally.client_sdk.errors import StateError
from hushtally.client_sdk.failures import describe_failure


@pytest.mark.parametrize(
    ("error", "description"),
    [
        (StateError("the state file was lost"), "the state file was lost"),
        (NoResponse("the proxy answered 407"), "the proxy answered 407"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "canary"), "the connection was refused"),
        (ConnectionResetError("canary"), "the connection was broken"),
        (BrokenPipeError("canary"), "the connection was broken"),
        (TimeoutError("canary"), "there was no answer in time"),
        (socket.gaierror(socket.EAI_NONAME, "canary"), "the host name could not be resolved"),
        (ssl.SSLCertVerificationError("canary"), "this machine does not trust its certificate"),
        (ssl.SSLZeroReturnError("canary"), "TLS failed"),
        (OSError(errno.ENETUNREACH, "canary"), "Network is unreachable"),
        (PermissionError(errno.EACCES, "canary", "/canary"), "Permission denied"),
        (OSError("canary"), "OSError"),
        (OSError("canary", "canary"), "OSError"),
        (OSError(10**30, "canary"), "OSError"),
        (KeyError("canary"), "KeyError"),
        (sqlite3.ProgrammingError("canary"), "ProgrammingError"),
    ],
)
def test_known_errors_are_described(error, description):
    assert describe_failure(error) == description


def locked(path):
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with closing(sqlite3.connect(path, timeout=0)) as connection:
            connection.execute("INSERT INTO one VALUES ('canary')")


def full(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA max_page_count = 2")
        connection.execute("INSERT INTO one VALUES (?)", ("canary" * 5000,))


def read_only(path):
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        connection.execute("INSERT INTO one VALUES ('canary')")


def not_a_database(path):
    path.write_text("canary" * 1000)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("SELECT * FROM one")


def missing(path):
    with closing(sqlite3.connect(path / "canary")) as connection:
        connection.execute("SELECT * FROM one")


def not_utf8(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("SELECT CAST(x'ff43616e617279' AS TEXT)").fetchone()


def too_long(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("SELECT zeroblob(2000000000)").fetchone()


@pytest.mark.parametrize(
    ("do", "description"),
    [
        (locked, "another process is using the state file"),
        (full, "the disk is full"),
        (read_only, "the state file is read-only"),
        (not_a_database, "the state file is not a database"),
        (missing, "the state file cannot be opened"),
        (not_utf8, "the state file is damaged"),
        (too_long, "the state file cannot be used (SQLITE_TOOBIG)"),
    ],
)
def test_errors_of_sqlite_are_described(tmp_path, do, description):
    """The errors that SQLite raises for real files."""
    path = tmp_path / "one.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE one(text)")
    with pytest.raises(sqlite3.Error) as failure:
        do(path)
    assert describe_failure(failure.value) == description
