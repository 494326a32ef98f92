"""The installed wheel inside an app that has modules with the names of our folders."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

APP = """
import sys
from datetime import UTC, datetime

import aggregator
import client_sdk
import collector
import simulations

from hushtally import Client, Survey
from hushtally.testing import ScriptedClock

for module in (aggregator, client_sdk, collector, simulations):
    assert module.OWNER == "the app", module.__file__

survey, now, delivered = Survey.load("survey.toml"), datetime.now(UTC), 0
for number in range(20):
    clock = ScriptedClock(now)
    with Client(
        survey,
        collector=sys.argv[1],
        state="state.db",
        device=f"customer {number}",
        cohort={"platform": "web"},
        clock=clock,
    ) as client:
        client.grant_consent()
        client.record("purchase", amount=24.90, category="books")
        client.tick()
        clock.advance(days=7)
        assert client.flush(60), client.status()
        delivered += client.status().counters["delivered"]
print(delivered)
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """An app with `collector/`, `aggregator/`, `simulations/` and `client_sdk.py` of its own beside its script."""
    for name in ("collector", "aggregator", "simulations"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text('OWNER = "the app"\n')
    (tmp_path / "client_sdk.py").write_text('OWNER = "the app"\n')
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


@contextmanager
def serving(environment: Any, folder: Path) -> Iterator[str]:
    """Runs `hushtally serve` in a folder; yields the URL of the collector."""
    command = [environment.python, "-m", "hushtally", "serve", "survey.toml", "--port", "0"]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        try:
            line = server.stderr.readline()
            assert "http://" in line, line + server.stderr.read()
            yield "http://" + line.partition("http://")[2].split()[0]
        finally:
            server.terminate()


def test_an_app_with_modules_of_the_same_names_uses_hushtally(installed: Any, app: Path) -> None:
    """From a new survey to an estimate: the app's modules stay the app's, and hushtally finds its own."""

    def command(*words: str) -> subprocess.CompletedProcess[str]:
        done = installed.run("-m", "hushtally", *words, cwd=app)
        assert done.returncode == 0, done.stderr
        return done

    command("survey", "new", "survey.toml", "--starts", "today")
    file = app / "survey.toml"
    text = file.read_text().replace("min_reports = 500", "min_reports = 1")
    file.write_text(text.replace("answers_every = 9", "answers_every = 1"))
    with serving(installed, app) as url:
        done = installed.run("app.py", url, cwd=app)
    assert (done.stdout, done.stderr) == ("20\n", "")
    rows = json.loads(command("estimate", "shopping-habits", "--format", "json").stdout)
    reports = {(row["question"], row["epoch"]): row["reports"] for row in rows}
    assert sum(reports.values()) == 20
    assert all(row["published"] for row in rows)


def test_the_demonstration_runs_inside_such_an_app(installed: Any, app: Path) -> None:
    """`hushtally demo`: the command, the real collector process and the simulations, with few customers."""
    done = installed.run("-m", "hushtally", "demo", "--customers", "40", cwd=app)
    assert done.returncode == 0, done.stderr
    assert "95% interval" in done.stdout


def test_the_script_is_installed(installed: Any, app: Path) -> None:
    """The wheel installs the command `hushtally`."""
    command = [installed.folder / "bin" / "hushtally", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=app)
    assert done.stdout.startswith("hushtally, version ")
