"""A survey whose epochs are days, batches for this survey, and the collector as a real process."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from hushtally.client_sdk.protocol.report import Batch, Report
from hushtally.client_sdk.survey import Survey
from survey_builder import AFFINITY, FAVOURITE, FREQUENCY, ORDERS, Table, survey_text

ROOT = Path(__file__).parents[2]
TODAY = date(2026, 11, 24)
DEADLINE = 120.0  # seconds, for the slowest machine
MANY: Table = {"id": "hidden", "segments": [{"id": "few", "when": "orders < 5"}, {"id": "many"}], "only_crossed": True}
QUESTIONS = (
    FREQUENCY,
    MANY,
    {"id": "both", "cross": ["frequency", "hidden"]},
    AFFINITY | {"categories": [f"c{number}" for number in range(100)]},
)


def text_around(today: date = TODAY, *, epsilon: float = 1.0, days: int = 10) -> str:
    """A survey in TOML that runs from `days` before to `days` after `today`."""
    return survey_text(
        QUESTIONS,
        starts=today - timedelta(days=days),
        ends=today + timedelta(days=days),
        retention_days=30,
        min_reports=10,
        privacy={"epsilon": epsilon, "questions_per_device": 1, "answers_every": 1, "memory": "fresh"},
        signals={"orders": ORDERS, "favourite": FAVOURITE},
    )


@dataclass
class Batches:
    """Creates batches for a survey."""

    survey: Survey
    today: date

    def report(self, question: str = "frequency", symbol: int = 0, days: int = 0, platform: str = "web") -> Report:
        """A report whose epoch lies `days` after today."""
        epoch = self.survey.epoch.label(self.today + timedelta(days=days))
        return Report(question, epoch, {"platform": platform}, symbol)

    def batch(self, *reports: Report, id: str | None = None) -> Batch:
        """A batch with a random id."""
        survey = self.survey
        return Batch(id or secrets.token_hex(16), survey.id, survey.version, survey.digest, reports)


@dataclass
class Process:
    """A collector in its own process."""

    popen: subprocess.Popen[str]
    url: str
    port: int
    startup_lines: list[str]  # what it printed until it was ready

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, dict[str, Any]]:
        """Sends one request on its own connection; returns the status and the JSON body."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)) as connection:
            connection.request(method, path, body, {"Content-Type": "application/json"} | headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())

    def metrics(self) -> dict[str, int]:
        """The values of /metrics, by series."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)) as connection:
            connection.request("GET", "/metrics")
            response = connection.getresponse()
            content_type = response.headers["Content-Type"]
            assert (response.status, content_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
            lines = response.read().decode().splitlines()
        return {name: int(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Sends a signal; returns the exit code and what the process printed on stderr."""
        self.popen.send_signal(number)
        _, printed = self.popen.communicate(timeout=DEADLINE)
        return self.popen.returncode, printed


def command(*arguments: object, grace: float | None = None) -> list[str]:
    """The command line of a collector; grace: seconds that requests may take after the signal to stop."""
    main = ["-m", "hushtally"]
    if grace is not None:
        code = "from hushtally.collector import server; from hushtally.cli import main"
        main = ["-c", f"{code}; server.GRACE_PERIOD = {grace}; main()"]
    return [sys.executable, *main, "serve", *map(str, arguments)]


@pytest.fixture
def text() -> Callable[..., str]:
    """Returns the survey in TOML, around a given day."""
    return text_around


@pytest.fixture
def survey() -> Survey:
    return Survey.parse(text_around())


@pytest.fixture
def batches(survey: Survey) -> Batches:
    return Batches(survey, TODAY)


@pytest.fixture
def live() -> Batches:
    """Batches for a survey that runs today by this machine's clock, which the processes use."""
    today = datetime.now(UTC).date()
    return Batches(Survey.parse(text_around(today)), today)


@pytest.fixture
def start(tmp_path: Path, live: Batches) -> Iterator[Callable[..., Process]]:
    """Starts collectors of the live survey on tmp_path/counts.db; kills the running collectors after the test."""
    file = tmp_path / "survey.toml"
    file.write_text(text_around(live.today))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}

    with ExitStack() as stack:

        def start(database: Path = tmp_path / "counts.db", survey: Path = file, grace: float | None = None) -> Process:
            popen = stack.enter_context(
                subprocess.Popen(
                    command(survey, "--port", 0, "--database", database, grace=grace),
                    stderr=subprocess.PIPE,
                    text=True,
                    env=environment,
                )
            )
            stack.callback(popen.kill)
            assert popen.stderr is not None
            lines = []
            for line in popen.stderr:
                place = rf"(?:the new database )?{re.escape(str(database))}"
                ready = rf"hushtally: collecting [\w ]+ into {place} at (http://127\.0\.0\.1:(\d+))\n"
                found = re.fullmatch(ready, line)
                lines.append(line)
                if found:
                    return Process(popen, found[1], int(found[2]), lines)
            raise AssertionError("".join(lines))

        yield start


@pytest.fixture
def start_without_log(tmp_path: Path, live: Batches) -> Iterator[Callable[..., Process]]:
    """Starts a collector of the live survey and others, which writes stdout and stderr to a file descriptor."""
    file = tmp_path / "live.toml"
    file.write_text(text_around(live.today))
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]

    with ExitStack() as stack:

        def start(output: int, *others: Path) -> Process:
            arguments = command(file, *others, "--port", port, "--database", tmp_path / "counts.db")
            environment = os.environ | {"PYTHONPATH": str(ROOT)}
            popen = subprocess.Popen(arguments, stdout=output, stderr=output, text=True, env=environment)
            os.close(output)
            stack.enter_context(popen)
            stack.callback(popen.kill)
            process = Process(popen, f"http://127.0.0.1:{port}", port, [])
            deadline = time.monotonic() + DEADLINE
            while True:
                try:
                    assert process.request("GET", "/healthz")[0] == 200
                    return process
                except ConnectionRefusedError:
                    assert popen.poll() is None
                    assert time.monotonic() < deadline
                    time.sleep(0.05)

        yield start
