"""Seals: whether the file holds what was last written for a device, or was damaged in between."""

from __future__ import annotations

import hashlib
import sqlite3

_SEALED = (
    "SELECT * FROM consents WHERE device = ? ORDER BY survey",
    "SELECT * FROM schedules WHERE device = ? ORDER BY digest",
    "SELECT * FROM answers WHERE device = ? ORDER BY digest, question, value",
    "SELECT * FROM ledger WHERE device = ? ORDER BY survey, question, epoch",
)


def holds(connection: sqlite3.Connection, device: int) -> bool:
    """Whether consents, schedules, permanent answers and ledger are those that were written together last.

    SQLite notices a damaged structure, not a damaged value; an answer that the ledger lost would be given again.
    """
    row = connection.execute("SELECT seal FROM devices WHERE device = ?", (device,)).fetchone()
    return row is not None and row[0] == _sum(connection, device)


def renew(connection: sqlite3.Connection, device: int) -> None:
    """Seals what is there now. Within the transaction that wrote it."""
    connection.execute("UPDATE devices SET seal = ? WHERE device = ?", (_sum(connection, device), device))


def blank(connection: sqlite3.Connection) -> bytes:
    """The seal of a device of which nothing is known yet."""
    return _sum(connection, None)


def census(connection: sqlite3.Connection) -> bytes:
    """A sum over the local keys of all devices, in any order: one that is missing or changed would be a new device."""
    total = 0
    for row in connection.execute("SELECT salt, device, key FROM devices, file"):
        total ^= int.from_bytes(_hash(row))
    return total.to_bytes(32)


def joined(total: bytes, salt: bytes, device: int, key: bytes) -> bytes:
    """The census after one more device."""
    return (int.from_bytes(total) ^ int.from_bytes(_hash((salt, device, key)))).to_bytes(32)


def file(connection: sqlite3.Connection) -> bytes:
    """A sum over what goes for the whole file."""
    return _hash(connection.execute("SELECT salt, census, doubts, doubted FROM file").fetchone())


def _sum(connection: sqlite3.Connection, device: int | None) -> bytes:
    return _hash([connection.execute(query, (device,)).fetchall() for query in _SEALED])


def _hash(value: object) -> bytes:
    return hashlib.sha256(repr(value).encode()).digest()
