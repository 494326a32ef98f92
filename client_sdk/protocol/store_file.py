"""The SQLite files of the project: each kind has an application id, and the collector's has a schema version."""

from __future__ import annotations

DEVICE = 0x68757364  # "husd": the state of devices
COLLECTOR = 0x68757368  # "hush": the counts of a collector
COLLECTOR_SCHEMA = 1  # the newest that is known, as the file's user version


def no_collector(application: int, version: int) -> str | None:
    """Why a file with this application id and user version is not a collector's database; None if it is one."""
    if application == DEVICE:
        return "is a device's state file, no collector's database"
    if application != COLLECTOR:
        return "is no hushtally database"
    if version > COLLECTOR_SCHEMA:
        return f"was written by a newer hushtally (schema {version}, this one knows {COLLECTOR_SCHEMA})"
    return None
