"""What the SDK costs an app: `record` compared with a plain INSERT, and a `tick` that has nothing to do.

The state file is created in FOLDER (default: a temporary folder). All figures are medians of one run. The plain
statements use a file with the same settings in the same folder.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from hushtally import Client, Survey
from hushtally.client_sdk.clock import utc_today
from hushtally.client_sdk.testing import Recorder
from hushtally.survey.template import example

MOST_RATIO = 3.0
MOST_TICK = 200e-6  # seconds
ROUNDS = 3_000


def median(action: Callable[[], object], rounds: int = ROUNDS) -> float:
    """The median time of one call in seconds."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        action()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def time_statements(folder: Path) -> tuple[float, float]:
    """Seconds of an INSERT, and of an INSERT with its COMMIT."""
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE events(id INTEGER PRIMARY KEY, device, day, name, fields)")
    row = (1, 739000, "purchase", '{"amount": 24.9, "category": "books"}')

    def insert() -> None:
        connection.execute("INSERT INTO events(device, day, name, fields) VALUES (?, ?, ?, ?)", row)

    def insert_and_commit() -> None:
        connection.execute("BEGIN IMMEDIATE")
        insert()
        connection.execute("COMMIT")

    connection.execute("BEGIN")
    alone = median(insert)
    connection.execute("COMMIT")
    return alone, median(insert_and_commit)


def open_client(folder: Path, name: str, durable: bool) -> Client:
    """A client with consent that has already answered in this epoch."""
    opened = Client(
        Survey.parse(example(utc_today())),
        collector="https://tally.example",
        state=folder / name,
        cohort={"platform": "web"},
        durable=durable,
        transport=Recorder(),
    )
    opened.grant_consent()
    opened.tick()
    return opened


def measure(folder: Path) -> bool:
    """Prints the figures; returns whether all of them meet their targets."""
    insert, commit = time_statements(folder)
    batched, durable = open_client(folder, "batched.db", False), open_client(folder, "durable.db", True)
    record = median(lambda: batched.record("purchase", amount=24.90, category="books"))
    durably = median(lambda: durable.record("purchase", amount=24.90, category="books"))
    batched.close()
    idle = open_client(folder, "batched.db", False)
    tick = median(idle.tick)
    print(f"INSERT                    {insert * 1e6:8.1f} us")
    print(f"record                    {record * 1e6:8.1f} us   {record / insert:5.2f} times an INSERT")
    print(f"INSERT and COMMIT         {commit * 1e6:8.1f} us")
    print(f"record, durable           {durably * 1e6:8.1f} us   {durably / commit:5.2f} times INSERT and COMMIT")
    print(f"tick with nothing to do   {tick * 1e6:8.1f} us")
    return record <= MOST_RATIO * insert and durably <= MOST_RATIO * commit and tick <= MOST_TICK


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", metavar="FOLDER")
    with tempfile.TemporaryDirectory(dir=parser.parse_args().folder) as place:
        sys.exit(0 if measure(Path(place)) else "a target was missed")
