"""What failed, in words that quote nothing: an error's own text may hold what a customer did."""

from __future__ import annotations

import errno
import os
import sqlite3

from hushtally.client_sdk.errors import SafeMessage

_OF_SQLITE = {
    sqlite3.SQLITE_BUSY: "others hold the state file",
    sqlite3.SQLITE_CANTOPEN: "the state file cannot be opened",
    sqlite3.SQLITE_CORRUPT: "the state file is damaged",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk failed",
    sqlite3.SQLITE_NOTADB: "the state file is no database",
    sqlite3.SQLITE_READONLY: "the state file may not be written",
}
# by name: to import ssl costs a device more than all the rest
_OF_NETWORK = {
    "SSLCertVerificationError": "this machine does not trust its certificate",
    "SSLError": "TLS failed",
    "gaierror": "the name of its host could not be looked up",
    "ConnectionRefusedError": "the connection was refused",
    "BrokenPipeError": "the connection broke off",
    "ConnectionResetError": "the connection broke off",
    "TimeoutError": "no answer came in time",
}


def describe_failure(error: Exception) -> str:
    """What failed, in a few words; for what nobody foresaw the name of its class."""
    if isinstance(error, SafeMessage):
        return str(error)
    if isinstance(error, sqlite3.Error) and hasattr(error, "sqlite_errorcode"):
        known = _OF_SQLITE.get(error.sqlite_errorcode & 0xFF)
        return known or f"the state file cannot be used ({error.sqlite_errorname})"
    if isinstance(error, sqlite3.OperationalError):  # Python's own, for a text in the file that is none
        return _OF_SQLITE[sqlite3.SQLITE_CORRUPT]
    named = [_OF_NETWORK[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in _OF_NETWORK]
    if named:
        return named[0]
    if isinstance(error, OSError) and isinstance(error.errno, int) and error.errno in errno.errorcode:
        return os.strerror(error.errno)  # never its own: that names files
    return type(error).__name__
