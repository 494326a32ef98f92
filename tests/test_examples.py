"""The examples run, as their own first lines say."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from client_sdk import Client, Survey
from client_sdk.testing import Recorder, ScriptedClock
from hushtally.survey_cli import example

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the survey that `hushtally survey new` writes today, but with an answer in every week."""
    text = example(datetime.now(UTC).date())
    (tmp_path / "shopping-habits.toml").write_text(re.sub(r"answers_every = 4\b", "answers_every = 1", text))
    return tmp_path


@pytest.fixture
def environment(folder: Path) -> dict[str, str]:
    # nobody listens at the collector's port: no example may mind
    return os.environ | {"PYTHONPATH": str(ROOT), "HOME": str(folder), "COLLECTOR": "http://127.0.0.1:9"}


Run = Callable[..., str]


@pytest.fixture
def run(folder: Path, environment: dict[str, str]) -> Run:
    def run(name: str, *arguments: str, stdin: str = "") -> str:
        done = subprocess.run(
            [sys.executable, str(EXAMPLES / name), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=folder,
            env=environment,
            timeout=30,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


def what_leaves(state: Path, survey: Survey, *keys: str) -> Recorder:
    """What is sent from a state file when the time of its answers has come."""
    recorder = Recorder()
    later = ScriptedClock(datetime.now(UTC) + timedelta(days=7))
    for key in keys:
        with Client(
            survey,
            collector="https://tally.example",
            state=state,
            device=key,
            cohort={"platform": "web"},
            clock=later,
            transport=recorder,
        ) as client:
            client.flush(5.0)
    epochs = {report.epoch for report in recorder.reports}
    questions = [question.id for question in survey.asked]
    recorder.assert_leaves_only("shopping-habits", survey.digest, "platform", "web", *questions, *epochs)
    return recorder


def events(state: Path) -> int:
    with closing(sqlite3.connect(state)) as connection:
        (number,) = connection.execute("SELECT count(*) FROM events").fetchone()
        return int(number)


@pytest.fixture
def survey(folder: Path) -> Survey:
    return Survey.load(folder / "shopping-habits.toml")


def test_the_list_names_them_all() -> None:
    text = (EXAMPLES / "README.md").read_text()
    files = {file.name for file in EXAMPLES.iterdir() if file.suffix in (".py", ".md")} - {"README.md"}
    assert set(re.findall(r"\]\(([\w.-]+)\)", text)) == files
    for file in EXAMPLES.glob("*.py"):
        assert f"examples/{file.name}" in file.read_text().split('"""')[1]


def test_command_line(run: Run, folder: Path, survey: Survey) -> None:
    """Nothing is kept before the customer agrees; afterwards what was bought is, and one answer waits."""
    state = folder / ".shop" / "hushtally.db"
    assert run("command_line.py", "buy", "24.90", "books") == "Bought: books for 24.90\n"
    assert events(state) == 0
    assert survey.title in run("command_line.py", "privacy")
    run("command_line.py", "agree")
    began = time.monotonic()
    run("command_line.py", "buy", "24.90", "books")
    assert time.monotonic() - began < 5
    assert events(state) == 1
    assert len(what_leaves(state, survey, "").reports) == 1
    run("command_line.py", "withdraw")
    assert events(state) == 0


def test_kiosk(run: Run, folder: Path, survey: Survey) -> None:
    """Two of three customers agree; each answers once, on the day when the third came for the first time."""
    lines = ["4711 agree", "4711 buy 24.90 books", "4712 buy 3.50 music", "4713 agree", "4713 buy 1 games", ""]
    assert run("kiosk.py", stdin="\n".join(lines)) == "3 customers\n"
    assert survey.title in run("kiosk.py", stdin="4711 privacy\n")
    state = folder / "kiosk.db"
    assert events(state) == 2
    assert len(what_leaves(state, survey, "4711", "4712", "4713").batches) == 2
    assert b"4711" not in state.read_bytes()


def test_asyncio_app(folder: Path, environment: dict[str, str], survey: Survey) -> None:
    with subprocess.Popen(
        [sys.executable, str(EXAMPLES / "asyncio_app.py"), "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=environment,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        port = int(process.stdout.readline().split()[-1])
        with socket.create_connection(("127.0.0.1", port), 10) as connection, connection.makefile("rw") as talk:
            for line, reply in (
                ("agree", "thank you"),
                ("buy 24.90 books", "bought books"),
                ("hm", "agree, withdraw, privacy, or: buy AMOUNT CATEGORY"),
                ("privacy", f"{survey.title} (shopping-habits v1)"),
            ):
                talk.write(line + "\n")
                talk.flush()
                assert talk.readline() == reply + "\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        assert process.stdout.read() == "closed\n"
        assert process.stderr.read() == ""
    assert events(folder / "asyncio-shop.db") == 1


def test_web_shop(folder: Path, environment: dict[str, str], survey: Survey, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions are kept apart: what one agrees to and buys is not the other's."""
    import importlib.util

    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLLECTOR", environment["COLLECTOR"])
    spec = importlib.util.spec_from_file_location("web_shop", EXAMPLES / "web_shop.py")
    assert spec is not None
    assert spec.loader is not None
    shop: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(shop)
    keys = []
    for agrees in (True, False):
        browser = shop.app.test_client()
        assert "May we count" in browser.get("/").text
        if agrees:
            assert browser.post("/agree").status_code == 302
            assert "no longer" in browser.get("/").text
        browser.post("/buy")
        assert survey.title in browser.get("/privacy").text
        with browser.session_transaction() as session:
            keys.append(session["key"])
        if agrees:
            first = browser
    assert events(folder / "shop.db") == 1
    assert (folder / "agreed.txt").read_text().split() == keys[:1]
    assert shop.app.test_cli_runner().invoke(args=["tick"]).exit_code == 0
    assert len(what_leaves(folder / "shop.db", survey, *keys).reports) == 1
    first.post("/withdraw")
    assert "May we count" in first.get("/").text
    assert events(folder / "shop.db") == 0
