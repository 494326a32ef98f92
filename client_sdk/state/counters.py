"""Counters: what became of a device's reports and events, by fate; no value is in them."""

from __future__ import annotations

import sqlite3


def add(connection: sqlite3.Connection, device: int, name: str, by: int = 1) -> None:
    """Adds to one of the device's counters."""
    connection.execute(
        "INSERT INTO counters VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
        (device, name, by),
    )


def find(connection: sqlite3.Connection, device: int) -> dict[str, int]:
    """All of the device's counters, by name."""
    return dict(connection.execute("SELECT name, count FROM counters WHERE device = ? ORDER BY name", (device,)))
