"""Checksums of the state file: they detect a value that was damaged on the disk.

SQLite detects a damaged structure, but not a damaged value. A device whose ledger lost an answer would answer again.
"""

from __future__ import annotations

import hashlib
import sqlite3

_TABLES = (
    "SELECT * FROM consents WHERE device = ? ORDER BY survey",
    "SELECT * FROM schedules WHERE device = ? ORDER BY digest",
    "SELECT * FROM answers WHERE device = ? ORDER BY digest, question, value",
    "SELECT * FROM ledger WHERE device = ? ORDER BY survey, question, epoch",
)


def matches(connection: sqlite3.Connection, device: int) -> bool:
    """Return whether the device's consents, schedules, permanent answers and ledger are as they were last written."""
    row = connection.execute("SELECT checksum FROM devices WHERE device = ?", (device,)).fetchone()
    return row is not None and row[0] == _of_device(connection, device)


def update(connection: sqlite3.Connection, device: int) -> None:
    """Store the checksum of the device's rows as they are now; in the transaction that wrote the rows."""
    connection.execute("UPDATE devices SET checksum = ? WHERE device = ?", (_of_device(connection, device), device))


def of_new_device(connection: sqlite3.Connection) -> bytes:
    """Return the checksum of a device that has no rows yet."""
    return _of_device(connection, None)


def of_device_list(connection: sqlite3.Connection) -> bytes:
    """Return a checksum of the keys of all devices, in any order.

    If a key were lost or damaged, its device would look like a new one, with an empty ledger.
    """
    total = 0
    for row in connection.execute("SELECT salt, device, key FROM devices, file"):
        total ^= int.from_bytes(_hash(row))
    return total.to_bytes(32)


def with_device(total: bytes, salt: bytes, device: int, key: bytes) -> bytes:
    """Return the checksum of the device list after one device was added to it."""
    return (int.from_bytes(total) ^ int.from_bytes(_hash((salt, device, key)))).to_bytes(32)


def update_file(connection: sqlite3.Connection) -> None:
    """Store the checksum of the settings of the whole file; in the transaction that changed them."""
    connection.execute("UPDATE file SET checksum = ?", (of_file(connection),))


def of_file(connection: sqlite3.Connection) -> bytes:
    """Return the checksum of the settings of the whole file."""
    return _hash(connection.execute("SELECT salt, devices_checksum, rollbacks, rollback_day FROM file").fetchone())


def _of_device(connection: sqlite3.Connection, device: int | None) -> bytes:
    return _hash([connection.execute(query, (device,)).fetchall() for query in _TABLES])


def _hash(value: object) -> bytes:
    return hashlib.sha256(repr(value).encode()).digest()
