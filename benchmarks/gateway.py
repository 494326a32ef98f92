"""What a customer costs in a gateway: the whole life of a device, and a web request.

    python benchmarks/gateway.py                 100,000 devices; takes several minutes
    python benchmarks/gateway.py 10000           10,000 devices
    python benchmarks/gateway.py 10000 FOLDER    with the state files in FOLDER (default: a temporary folder)

The life of a device: it is opened, the customer agrees, three events are recorded, one answer is made and delivered.
Its processor time is compared with a bare `executemany` of the rows that it writes, with the same settings of SQLite,
and with the same life of a `Client`, which a part of the devices lives. A web request creates a handle and records one
event while the gateway is open. It is compared with an INSERT and its COMMIT. The figures are means of one run.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from hushtally import Client, Gateway, Survey
from hushtally.client_sdk.clock import utc_now, utc_today
from hushtally.client_sdk.delivery.transport import Response
from hushtally.client_sdk.testing import ScriptedClock, accepted
from hushtally.survey.template import example

RESULTS = Path(__file__).parent / "results" / "gateway.json"
MOST_BARE, MOST_CLIENT, MOST_REQUEST = 12.0, 0.1, 3.0
CLIENTS = 1_000  # devices that live with a client of their own
REQUESTS = 5_000
WEB = {"platform": "web"}


class Counting:
    """A transport to a collector that accepts everything."""

    def request(self, method: str, url: str, body: bytes | None, timeout: float, max_bytes: int = 0) -> Response:
        """See Transport."""
        return accepted(body)


def cpu_of(action: Callable[[], object]) -> float:
    """Seconds of processor time of one call."""
    began = time.process_time()
    action()
    return time.process_time() - began


def surveyed() -> Survey:
    """The example survey, answered in every epoch."""
    return Survey.parse(re.sub(r"answers_every = \d+", "answers_every = 1", example(utc_today())))


def live_in_gateway(folder: Path, survey: Survey, devices: int) -> None:
    """The whole life of all devices."""
    clock = ScriptedClock(utc_now() + timedelta(days=7))
    state = folder / "gateway.db"
    with Gateway(survey, collector="https://tally.example", state=state, clock=clock, transport=Counting()) as gateway:
        for number in range(devices):
            device = gateway.device(f"customer-{number}", WEB)
            device.grant_consent()
            for _ in range(3):
                device.record("purchase", amount=24.90, category="books")
        gateway.tick()
        clock.advance(days=7)
        gateway.tick(3_600.0)
        assert gateway.counters() == {"delivered": devices}


def live_with_clients(folder: Path, survey: Survey, devices: int) -> None:
    """The whole life of devices that each have a client; all share one file."""
    now = utc_now()
    for number in range(devices):
        clock = ScriptedClock(now + timedelta(days=7))
        with Client(
            survey,
            collector="https://tally.example",
            state=folder / "clients.db",
            device=f"customer-{number}",
            cohort=WEB,
            clock=clock,
            transport=Counting(),
        ) as client:
            client.grant_consent()
            for _ in range(3):
                client.record("purchase", amount=24.90, category="books")
            client.tick()
            clock.advance(days=7)
            client.tick()


def write_bare(folder: Path) -> float:
    """Write the rows that the devices of `gateway.db` wrote, with `executemany`; return the processor time."""
    with sqlite3.connect(folder / "gateway.db") as source:
        schema = [sql for (sql,) in source.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")]
        rows = {
            name: source.execute(f"SELECT * FROM {name}").fetchall()
            for name in ("devices", "consents", "cohorts", "schedules", "ledger", "events", "counters")
        }
    # the outbox was emptied; one row of each device was written there
    body = bytes(330)
    rows["outbox"] = [(row[0], f"{row[0]:032x}", "0" * 64, 1.0, 739_000, None, body) for row in rows["devices"]]
    target = sqlite3.connect(folder / "bare.db", isolation_level=None)
    for setting in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
        target.execute(f"PRAGMA {setting}")
    for sql in schema:
        target.execute(sql)
    began = time.process_time()
    target.execute("BEGIN")
    for name, values in rows.items():
        target.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(values[0]))})", values)
    target.execute("DELETE FROM outbox")
    target.execute("COMMIT")
    seconds = time.process_time() - began
    target.close()
    return seconds


def requests(folder: Path, survey: Survey) -> tuple[float, float]:
    """Mean seconds of a handle and `record`, and of an INSERT with its COMMIT; each request has another customer."""
    connection = sqlite3.connect(folder / "request.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE events(id INTEGER PRIMARY KEY, device, day, name, fields)")
    row = (1, 739000, "purchase", '{"amount": 24.9, "category": "books"}')
    ours = theirs = 0.0
    with Gateway(
        survey, collector="https://tally.example", state=folder / "requests.db", transport=Counting()
    ) as gateway:
        for number in range(REQUESTS):
            gateway.device(f"customer-{number}", WEB).grant_consent()
        for number in range(REQUESTS):
            began = time.perf_counter()
            gateway.device(f"customer-{number}", WEB).record("purchase", amount=24.90, category="books")
            middle = time.perf_counter()
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO events(device, day, name, fields) VALUES (?, ?, ?, ?)", row)
            connection.execute("COMMIT")
            ours += middle - began
            theirs += time.perf_counter() - middle
    return ours / REQUESTS, theirs / REQUESTS


def measure(folder: Path, devices: int) -> bool:
    """Print and store the figures; return whether all of them meet their targets."""
    survey = surveyed()
    life = cpu_of(lambda: live_in_gateway(folder, survey, devices)) / devices
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    bare = write_bare(folder) / devices
    alone = cpu_of(lambda: live_with_clients(folder, survey, CLIENTS)) / CLIENTS
    ours, theirs = requests(folder, survey)
    ratios = {"bare": life / bare, "client": life / alone, "request": ours / theirs}
    print(f"{devices:,} devices, at most {memory:.0f} MB")
    print(f"life in a gateway         {life * 1e6:8.1f} us of processor time a device")
    print(f"bare executemany          {bare * 1e6:8.1f} us   ratio {ratios['bare']:.2f} (at most {MOST_BARE:g})")
    print(f"life with a client        {alone * 1e6:8.1f} us   ratio {ratios['client']:.3f} (at most {MOST_CLIENT:g})")
    print(f"request                   {ours * 1e6:8.1f} us")
    print(
        f"INSERT and COMMIT         {theirs * 1e6:8.1f} us   ratio {ratios['request']:.2f} (at most {MOST_REQUEST:g})"
    )
    RESULTS.write_text(json.dumps({"devices": devices, "memory_mb": round(memory), **ratios}, indent=1) + "\n")
    return ratios["bare"] <= MOST_BARE and ratios["client"] <= MOST_CLIENT and ratios["request"] <= MOST_REQUEST


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("devices", nargs="?", type=int, default=100_000, metavar="DEVICES")
    parser.add_argument("folder", nargs="?", metavar="FOLDER")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as place:
        sys.exit(0 if measure(Path(place), arguments.devices) else "a target was missed")
