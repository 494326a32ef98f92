"""Descriptions of failures. They quote nothing, because the text of an exception may contain what a customer did."""

from __future__ import annotations

import errno
import os
import sqlite3

from hushtally.client_sdk.errors import SafeMessage

_SQLITE = {
    sqlite3.SQLITE_BUSY: "another process is using the state file",
    sqlite3.SQLITE_CANTOPEN: "the state file cannot be opened",
    sqlite3.SQLITE_CORRUPT: "the state file is damaged",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk failed",
    sqlite3.SQLITE_NOTADB: "the state file is not a database",
    sqlite3.SQLITE_READONLY: "the state file is read-only",
}
# by name, because importing ssl costs a device more than everything else
_NETWORK = {
    "SSLCertVerificationError": "this machine does not trust its certificate",
    "SSLError": "TLS failed",
    "gaierror": "the host name could not be resolved",
    "ConnectionRefusedError": "the connection was refused",
    "BrokenPipeError": "the connection was broken",
    "ConnectionResetError": "the connection was broken",
    "TimeoutError": "there was no answer in time",
}


def describe_failure(error: Exception) -> str:
    """Return what failed, in a few words; for an unknown error, the name of its class."""
    if isinstance(error, SafeMessage):
        return str(error)
    if isinstance(error, sqlite3.Error) and hasattr(error, "sqlite_errorcode"):
        known = _SQLITE.get(error.sqlite_errorcode & 0xFF)
        return known or f"the state file cannot be used ({error.sqlite_errorname})"
    if isinstance(error, sqlite3.OperationalError):  # raised by Python, for a string in the file that is not UTF-8
        return _SQLITE[sqlite3.SQLITE_CORRUPT]
    known_classes = [_NETWORK[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in _NETWORK]
    if known_classes:
        return known_classes[0]
    if isinstance(error, OSError) and isinstance(error.errno, int) and error.errno in errno.errorcode:
        return os.strerror(error.errno)  # not str(error), which names files
    return type(error).__name__
