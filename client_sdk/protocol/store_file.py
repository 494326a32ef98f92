"""The identifiers of the SQLite files: an application id for each kind, and the schema version of the collector."""

from __future__ import annotations

DEVICE = 0x68757364  # the application id of a device's state file: "husd"
COLLECTOR = 0x68757368  # the application id of a collector's database: "hush"
COLLECTOR_SCHEMA = 1  # the latest known schema of a collector's database, stored as its user version


def collector_file_problem(application: int, version: int) -> str | None:
    """Why a file with this application id and user version is not a readable collector's database; None if it is."""
    if application == DEVICE:
        return "is a device's state file, not a collector's database"
    if application != COLLECTOR:
        return "is not a hushtally database"
    if version > COLLECTOR_SCHEMA:
        return (
            f"was written by a newer hushtally (schema {version}, but this version reads at most {COLLECTOR_SCHEMA}); "
            "upgrade hushtally"
        )
    return None
