"""How many reports per second the collector counts durably, and what shared commits gain.

The databases are created in DIRECTORY (default: the current directory). Choose a directory on a real disk: where fsync
costs nothing, a commit costs nothing either. The benchmark prints two tables of medians:

- Writer: threads hand over batches and wait for each response, with shared commits and with one commit per batch. The
  rounds of both alternate.
- HTTP: the same batches go to a real `serve` process over persistent connections. The clients run on the same machine
  and use a part of its processors.
"""

from __future__ import annotations

import argparse
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, sleep

from hushtally.client_sdk.clock import utc_today
from hushtally.client_sdk.protocol.report import Batch, Report
from hushtally.client_sdk.survey import Survey
from hushtally.collector import writer as writing
from hushtally.collector.admission import Admission, admit
from hushtally.collector.housekeeping import Housekeeping
from hushtally.collector.metrics import Metrics
from hushtally.collector.sqlite_store import SqliteStore
from hushtally.collector.writer import Writer

ROOT = Path(__file__).resolve().parents[1]
THREADS = 32
ROUNDS = 5
BATCHES = 1_600  # per round
SIZES = (1, 10, 100)  # reports per batch
TODAY = utc_today()


def survey_text() -> str:
    """The example survey with dates that include today."""
    monday = TODAY - timedelta(days=TODAY.weekday())
    text = (ROOT / "hushtally" / "survey" / "templates" / "shop.toml").read_text()
    text = re.sub(r"^starts = \S+", f"starts = {monday - timedelta(weeks=4)}", text, flags=re.MULTILINE)
    return re.sub(r"^ends = \S+", f"ends = {monday + timedelta(weeks=4, days=6)}", text, flags=re.MULTILINE)


def random_batches(survey: Survey, size: int, source: Random) -> list[Batch]:
    """BATCHES batches with `size` random reports each."""
    cohorts, epoch = survey.all_cohorts(), survey.epoch.label(TODAY)

    def report() -> Report:
        question = source.choice(survey.asked)
        return Report(question.id, epoch, source.choice(cohorts), source.randrange(question.mechanism.symbols))

    return [
        Batch(secrets.token_hex(16), survey.id, survey.version, survey.digest, tuple(report() for _ in range(size)))
        for _ in range(BATCHES)
    ]


def time_writer(survey: Survey, admissions: Sequence[Admission], directory: str, group: int) -> float:
    """Seconds until all batches are answered, with at most `group` batches per commit."""
    writing.MAX_IN_GROUP = group
    with TemporaryDirectory(dir=directory) as folder, ThreadPoolExecutor(THREADS) as pool:
        store = SqliteStore(Path(folder) / "counts.db")
        store.register([survey])
        metrics = Metrics([survey])
        with closing(Writer(store, Housekeeping(store, lambda: TODAY, metrics), metrics)) as writer:
            begin = perf_counter()
            list(pool.map(writer.add, admissions))
            return perf_counter() - begin


def time_http(bodies: Sequence[bytes], directory: str) -> float:
    """Seconds until a separate `serve` process has answered all batches."""
    with TemporaryDirectory(dir=directory) as folder:
        file = Path(folder) / "survey.toml"
        file.write_text(survey_text())
        arguments = [str(file), "--port", "0", "--database", str(file.with_name("counts.db"))]
        with subprocess.Popen(
            [sys.executable, "-c", "from hushtally.collector.serve_cli import serve; serve()", *arguments],
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        ) as server:
            assert server.stderr is not None
            port = int(server.stderr.readline().rpartition(":")[2])
            try:
                return _time_posts(bodies, port)
            finally:
                server.terminate()


def _time_posts(bodies: Sequence[bytes], port: int) -> float:
    def post(part: Sequence[bytes]) -> None:
        with closing(HTTPConnection("127.0.0.1", port)) as connection:
            for body in part:
                connection.request("POST", "/v1/reports", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                assert answer.status == 200

    with ThreadPoolExecutor(THREADS) as pool:
        sleep(0.1)
        begin = perf_counter()
        list(pool.map(post, [bodies[index::THREADS] for index in range(THREADS)]))
        return perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", nargs="?", default=".", metavar="DIRECTORY")
    directory = parser.parse_args().directory
    survey, source = Survey.parse(survey_text()), Random(1)
    print(f"writer, {THREADS} threads, synchronous=FULL: batches/s and reports/s")
    print(f"{'reports per batch':>18} {'shared':>9} {'reports':>9} {'alone':>9} {'reports':>9} {'ratio':>6}")
    for size in SIZES:
        admissions = [admit(batch, [survey], TODAY) for batch in random_batches(survey, size, source)]
        times: dict[int, list[float]] = {1_000: [], 1: []}
        for _ in range(ROUNDS):
            for group, taken in times.items():
                taken.append(time_writer(survey, admissions, directory, group))
        shared, alone = (BATCHES / median(taken) for taken in times.values())
        print(
            f"{size:18,} {shared:9,.0f} {shared * size:9,.0f} {alone:9,.0f} {alone * size:9,.0f} {shared / alone:6.1f}"
        )
    print(f"\nHTTP, {THREADS} connections to one process")
    print(f"{'reports per batch':>18} {'requests/s':>10} {'reports/s':>10}")
    for size in SIZES:
        bodies = [[batch.encode() for batch in random_batches(survey, size, source)] for _ in range(ROUNDS)]
        rate = BATCHES / median(time_http(round, directory) for round in bodies)
        print(f"{size:18,} {rate:10,.0f} {rate * size:10,.0f}")


if __name__ == "__main__":
    main()
