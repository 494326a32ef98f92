"""What failed is told in words, and never in those of the error, which may quote what a customer did."""

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
    ("error", "told"),
    [
        (StateError("the state file was lost"), "the state file was lost"),
        (NoResponse("the proxy answered 407"), "the proxy answered 407"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "canary"), "the connection was refused"),
        (ConnectionResetError("canary"), "the connection broke off"),
        (BrokenPipeError("canary"), "the connection broke off"),
        (TimeoutError("canary"), "no answer came in time"),
        (socket.gaierror(socket.EAI_NONAME, "canary"), "the name of its host could not be looked up"),
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
def test_what_failed(error, told):
    assert describe_failure(error) == told


def held(path):
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


def no_database(path):
    path.write_text("canary" * 1000)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("SELECT * FROM one")


def not_there(path):
    with closing(sqlite3.connect(path / "canary")) as connection:
        connection.execute("SELECT * FROM one")


def no_text(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("SELECT CAST(x'ff43616e617279' AS TEXT)").fetchone()


def too_long(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("SELECT zeroblob(2000000000)").fetchone()


@pytest.mark.parametrize(
    ("do", "told"),
    [
        (held, "others hold the state file"),
        (full, "the disk is full"),
        (read_only, "the state file may not be written"),
        (no_database, "the state file is no database"),
        (not_there, "the state file cannot be opened"),
        (no_text, "the state file is damaged"),
        (too_long, "the state file cannot be used (SQLITE_TOOBIG)"),
    ],
)
def test_what_sqlite_could_not_do(tmp_path, do, told):
    """A real file, and what SQLite raises for it."""
    path = tmp_path / "one.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE one(text)")
    with pytest.raises(sqlite3.Error) as failure:
        do(path)
    assert describe_failure(failure.value) == told
