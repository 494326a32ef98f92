"""What the SDK costs an app: `record` beside a bare INSERT, and a `tick` that finds nothing to do.

    python benchmarks/device.py [folder]     the folder is where the state file is put (default: a temporary one)

Medians, side by side in one run: the bare statements use a file of the same settings in the same folder.
"""

from __future__ import annotations

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
from hushtally.survey.commands import example

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


def bare(folder: Path) -> tuple[float, float]:
    """An INSERT alone, and with its COMMIT."""
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


def client(folder: Path, name: str, durable: bool) -> Client:
    """A client with consent whose answer of this epoch is given and sent."""
    made = Client(
        Survey.parse(example(utc_today())),
        collector="https://tally.example",
        state=folder / name,
        cohort={"platform": "web"},
        durable=durable,
        transport=Recorder(),
    )
    made.grant_consent()
    made.tick()
    return made


def measure(folder: Path) -> bool:
    """Prints the figures; whether all of them are within their targets."""
    insert, commit = bare(folder)
    batched, durable = client(folder, "batched.db", False), client(folder, "durable.db", True)
    record = median(lambda: batched.record("purchase", amount=24.90, category="books"))
    durably = median(lambda: durable.record("purchase", amount=24.90, category="books"))
    batched.close()
    idle = client(folder, "batched.db", False)
    tick = median(idle.tick)
    print(f"INSERT                    {insert * 1e6:8.1f} us")
    print(f"record                    {record * 1e6:8.1f} us   {record / insert:5.2f} times an INSERT")
    print(f"INSERT and COMMIT         {commit * 1e6:8.1f} us")
    print(f"record, durable           {durably * 1e6:8.1f} us   {durably / commit:5.2f} times INSERT and COMMIT")
    print(f"tick with nothing to do   {tick * 1e6:8.1f} us")
    return record <= MOST_RATIO * insert and durably <= MOST_RATIO * commit and tick <= MOST_TICK


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as place:
        sys.exit(0 if measure(Path(place)) else "a target was missed")
