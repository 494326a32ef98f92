"""Checksums of the state file: they detect a value that was damaged on the disk.

SQLite detects a damaged structure, but not a damaged value. A device whose ledger lost an answer would answer again.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping


def of_device(tables: Mapping[str, Mapping[tuple[object, ...], tuple[object, ...]]]) -> bytes:
    """Return the checksum of a device's consents, schedules, permanent answers and ledger.

    tables: the rows of each of these tables, by their keys.
    """
    return _hash([[rows[key] for key in sorted(rows)] for rows in tables.values()])


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


def update_device_list(connection: sqlite3.Connection, total: bytes) -> None:
    """Store the checksum of the device list, and that of the file, which contains it."""
    salt, rollbacks, day = connection.execute("SELECT salt, rollbacks, rollback_day FROM file").fetchone()
    connection.execute(
        "UPDATE file SET devices_checksum = ?, checksum = ?", (total, _hash((salt, total, rollbacks, day)))
    )


def update_file(connection: sqlite3.Connection) -> None:
    """Store the checksum of the settings of the whole file; in the transaction that changed them."""
    connection.execute("UPDATE file SET checksum = ?", (of_file(connection),))


def of_file(connection: sqlite3.Connection) -> bytes:
    """Return the checksum of the settings of the whole file."""
    return _hash(connection.execute("SELECT salt, devices_checksum, rollbacks, rollback_day FROM file").fetchone())


def _hash(value: object) -> bytes:
    return hashlib.sha256(repr(value).encode()).digest()


OF_NEW_DEVICE = of_device({name: {} for name in ("consents", "schedules", "answers", "ledger")})  # without any row
