"""The examples run, as their own first lines say."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.cookiejar import CookieJar
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from hushtally import Client, Gateway, Survey
from hushtally.client_sdk.testing import Recorder, ScriptedClock
from hushtally.survey.template import example

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"


SERVE = "hushtally serve shopping-habits.toml &"


def header(name: str) -> list[str]:
    """The commands that an example begins with."""
    text = (EXAMPLES / name).read_text(encoding="utf-8").split('"""')[1]
    return [line.strip() for line in text.splitlines() if line.startswith("    ")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the examples, and the survey that `hushtally survey new` writes today, answered in every week."""
    text = example(datetime.now(UTC).date())
    (tmp_path / "shopping-habits.toml").write_text(re.sub(r"answers_every = 9\b", "answers_every = 1", text))
    (tmp_path / "examples").symlink_to(EXAMPLES)
    return tmp_path


@pytest.fixture
def environment(folder: Path) -> dict[str, str]:
    # nobody listens at the collector's port: no example may mind
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {
        "PYTHONPATH": str(ROOT),
        "PATH": path,
        "HOME": str(folder),
        "COLLECTOR": "http://127.0.0.1:9",
    }


Run = Callable[..., str]


@pytest.fixture
def run(folder: Path, environment: dict[str, str]) -> Run:
    def run(*command: str, stdin: str = "", fails: str = "", **more: str) -> str:
        """What a command prints; fails: what it says on its other output, as it exits with 1."""
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, cwd=folder, env=environment | more, timeout=300
        )
        assert (done.returncode, done.stderr) == ((1, fails + "\n") if fails else (0, ""))
        return done.stdout

    return run


@contextmanager
def started(folder: Path, environment: dict[str, str], command: list[str], ready: str) -> Iterator[re.Match[str]]:
    """A process that runs until it is interrupted; `ready` matches the line by which it says that it is open."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder, env=environment
    ) as process:
        assert process.stdout is not None
        try:
            found = next((found for line in process.stdout if (found := re.search(ready, line))), None)
            assert found is not None, "it ended before it was open"
            yield found
        finally:
            process.send_signal(signal.SIGINT)
            process.stdout.read()
            assert process.wait(120) == 0


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def collecting(folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """A real collector, served as the examples say, but at a free port; yields its URL."""
    command = [*SERVE.removesuffix(" &").split(), "--port", "0"]
    with started(folder, environment, command, r"collecting shopping-habits v1 .* at (http\S+)") as found:
        yield found[1]


def what_leaves(state: Path, survey: Survey, *keys: str) -> Recorder:
    """What is sent from a state file when the time of its answers has come; without keys, for all its devices."""
    recorder = Recorder()
    later = ScriptedClock(datetime.now(UTC) + timedelta(days=7))
    for key in keys:
        with Client(
            survey, collector="https://tally.example", state=state, device=key, clock=later, transport=recorder
        ) as client:
            client.flush(5.0)
    if not keys:
        with Gateway(
            survey, collector="https://tally.example", state=state, clock=later, transport=recorder
        ) as gateway:
            gateway.flush(5.0)
    epochs = {report.epoch for report in recorder.reports}
    questions = [question.id for question in survey.asked]
    recorder.assert_leaves_only("shopping-habits", survey.digest, "platform", "web", *questions, *epochs)
    return recorder


def agreed_to(state: Path, survey: Survey, key: str) -> str:
    """The text on which the customer of a key agreed."""
    with Client(survey, collector="https://tally.example", state=state, device=key) as client:
        [receipt] = client.receipts()
    assert receipt.shown is not None
    return receipt.shown


def consents(state: Path) -> list[str]:
    """The texts that customers agreed to, one for each customer who agrees."""
    with closing(sqlite3.connect(state)) as connection:
        rows = connection.execute("SELECT text FROM consents JOIN texts ON shown = hash WHERE granted")
        return [text for (text,) in rows]


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
        commands = file.read_text().split('"""')[1]
        assert f"examples/{file.name}" in commands or f"--app-dir examples {file.stem}:app" in commands


def test_command_line(run: Run, folder: Path, survey: Survey) -> None:
    """Nothing is kept before the customer agrees; afterwards what was bought is, and one answer waits."""

    def shop(*words: str) -> str:
        return run("python", "examples/command_line.py", *words)

    state = folder / ".shop" / "hushtally.db"
    assert shop("buy", "24.90", "books") == "Bought: books for 24.90\n"
    assert events(state) == 0
    assert shop("status") == "Not counting: the customer has not agreed.\n"
    assert survey.title in shop("privacy")
    assert re.fullmatch(r"Counting\. Next answer: \d+-W\d+\. Batches waiting to be sent: 0\.\n", shop("agree"))
    shop("buy", "24.90", "books")
    assert shop("status").endswith("Batches waiting to be sent: 1.\n")
    assert events(state) == 1
    assert len(what_leaves(state, survey, "").reports) == 1
    assert shop("withdraw") == "Not counting: the customer withdrew.\n"
    assert events(state) == 0


def test_command_line_as_its_header_says(run: Run, folder: Path) -> None:
    """A trial leaves nothing in the home of whoever tries it."""
    (folder / "shopping-habits.toml").unlink()
    new, *script = header("command_line.py")
    run("bash", "-c", f"{new} 2>new.log")
    printed = run("bash", "-e", "-c", "\n".join(script))
    assert "Bought: books for 24.90\nCounting. Next answer: " in printed
    assert printed.endswith("Not counting: the customer withdrew.\n")
    assert (folder / "trial.db").exists()
    assert not (folder / ".shop").exists()


@pytest.mark.parametrize("words", [("status",), ("agree",)])
def test_command_line_says_that_its_state_cannot_be_used(
    folder: Path, environment: dict[str, str], words: tuple[str, ...]
) -> None:
    """Buying goes on; whoever asks or agrees is told."""
    why = f"the state file {folder}/shopping-habits.toml/shop.db cannot be used: its folder is a file"
    for asked, told in ((("buy", "1", "games"), "Bought: games for 1.00\n"), (words, f"Not counting: {why}.\n")):
        done = subprocess.run(
            ["python", "examples/command_line.py", *asked],
            capture_output=True,
            text=True,
            cwd=folder,
            env=environment | {"SHOP_STATE": "shopping-habits.toml/shop.db"},
        )
        assert (done.returncode, done.stdout) == (0, told)
        assert f"silent: {why}" in done.stderr


def test_kiosk(run: Run, folder: Path, survey: Survey) -> None:
    """Two of three customers agree; each answers once, on the day when the third came for the first time."""
    lines = ["4711 agree", "4711 buy 24.90 books", "4712 buy 3.50 music", "4713 agree", "4713 buy 1 games", ""]
    assert run("python", "examples/kiosk.py", stdin="\n".join(lines)) == "3 customers\n"
    page = run("python", "examples/kiosk.py", stdin="4711 privacy\n")
    assert page.startswith("“The device” is this kiosk: ")
    assert f"\n\n{survey.title}" in page
    state = folder / "kiosk.db"
    assert events(state) == 2
    assert agreed_to(state, survey, "4711").startswith("“The device” is this kiosk: ")
    assert len(what_leaves(state, survey, "4711", "4712", "4713").batches) == 2
    assert b"4711" not in state.read_bytes()


def test_kiosk_as_its_header_says(run: Run, folder: Path, environment: dict[str, str]) -> None:
    (folder / "shopping-habits.toml").unlink()
    new, serve, trade = header("kiosk.py")
    run("bash", "-c", f"{new} 2>new.log")
    assert serve == SERVE
    with collecting(folder, environment) as url:
        assert run("bash", "-c", trade, COLLECTOR=url) == "2 customers\n"
    assert events(folder / "kiosk.db") == 1


@pytest.mark.parametrize("port", [[], ["0"]])
def test_asyncio_app(folder: Path, environment: dict[str, str], survey: Survey, port: list[str]) -> None:
    """What its header types, and a word that it does not know; without a port it takes a free one."""
    *_, serve, app, talk = header("asyncio_app.py")
    assert (serve, app) == (SERVE, "python examples/asyncio_app.py 7007 &")
    typed = re.fullmatch(r"printf '(.*)' \| nc 127\.0\.0\.1 7007", talk)
    assert typed is not None
    with (
        started(folder, environment, [*app.split()[:2], *port], r"listening on port (\d+)") as found,
        socket.create_connection(("127.0.0.1", int(found[1])), 10) as connection,
        connection.makefile() as replies,
    ):
        connection.sendall(f"hm\n{typed[1]}".replace("\\n", "\n").encode())
        told = replies.read().splitlines()
    assert told[:4] == [
        "commands: agree, withdraw, privacy, bye, buy AMOUNT CATEGORY",
        "thank you",
        "bought books",
        f"{survey.title} (shopping-habits v1)",
    ]
    assert events(folder / "asyncio-shop.db") == 1


def test_asyncio_app_wants_a_number_for_a_port(folder: Path, environment: dict[str, str]) -> None:
    command = ["python", "examples/asyncio_app.py", "http"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)
    assert done.returncode == 2
    assert "usage: asyncio_app.py [-h] [port]" in done.stderr


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
    browsers, keys = [], []
    state = folder / "shop.db"
    for agrees in (True, False, True):
        browser = shop.app.test_client()
        assert "May we count" in browser.get("/").text
        if agrees:
            assert browser.post("/agree").status_code == 302
            assert "Stop counting" in browser.get("/").text
        browser.post("/buy")
        page = browser.get("/privacy").text
        assert page.startswith("“The device” is this shop's server: ")
        assert f"\n\n{survey.title}" in page
        with browser.session_transaction() as session:
            keys.append(session["key"])
        browsers.append(browser)
    assert shop.app.test_cli_runner().invoke(args=["tick"]).exit_code == 0
    shop.GATEWAY.close()
    assert events(state) == 2
    assert agreed_to(state, survey, keys[0]).startswith("“The device” is this shop's server: ")
    assert len(consents(state)) == 2
    assert len(what_leaves(state, survey).reports) == 2
    shop.GATEWAY = shop.Gateway(survey, collector=environment["COLLECTOR"], state=state)
    for browser in browsers[:2]:  # the second one never agreed
        assert browser.post("/withdraw").status_code == 302
        assert "May we count" in browser.get("/").text
    assert len(consents(state)) == 1
    assert events(state) == 1
    assert shop.app.test_cli_runner().invoke(args=["tick"]).exit_code == 0


def test_web_shop_as_its_header_says(run: Run, folder: Path, environment: dict[str, str]) -> None:
    (folder / "shopping-habits.toml").unlink()
    _, new, serve, shop, timer = header("web_shop.py")
    run("bash", "-c", f"{new} 2>new.log")
    assert serve == SERVE
    with (
        collecting(folder, environment) as url,
        started(
            folder, environment | {"COLLECTOR": url}, [*shop.split()[:-1], "--port", "0"], r"Running on (http\S+)"
        ) as found,
    ):
        with urllib.request.urlopen(urllib.request.Request(f"{found[1]}/agree", method="POST")) as answer:
            assert "May we count" in answer.read().decode()  # a stranger again, who keeps no cookie
        assert run("bash", "-c", timer.removeprefix("watch -n 900 "), COLLECTOR=url) == ""
        assert len(consents(folder / "shop.db")) == 1


class Browser:
    """A customer's browser: it keeps cookies, and sends the token of a page's forms."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.cookies = CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))

    def request(self, method: str, path: str, **fields: str) -> str:
        body = urllib.parse.urlencode(fields).encode() if fields else None
        with self._opener.open(urllib.request.Request(f"{self.url}{path}", body, method=method)) as answer:
            text: str = answer.read().decode()
            return text

    def press(self, path: str) -> str:
        """Presses the button of a form on the shop's page; returns the page that follows."""
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.request("GET", "/"))
        assert token is not None
        return self.request("POST", path, csrfmiddlewaretoken=token[1])


def test_django_shop(run: Run, folder: Path, environment: dict[str, str], survey: Survey) -> None:
    """As its header says. Sessions are separate; only those who agreed are recorded, and the timer's tick answers."""
    (folder / "shopping-habits.toml").unlink()
    install, new, serve, shop, timer = header("django_shop.py")
    assert install.startswith("pip install '.[collector]' django ")
    run("bash", "-c", f"{new} 2>new.log")
    assert serve == SERVE
    state = folder / "django-shop.db"
    with collecting(folder, environment) as url:
        command = shop.removesuffix(" 8000 &").split()
        port = str(free_port())
        watching = environment | {"COLLECTOR": url, "PYTHONUNBUFFERED": "1"}
        with started(folder, watching, [*command, port], r"Starting .* at (http\S+)/") as found:
            browsers = [Browser(found[1]) for _ in range(2)]
            assert "Stop counting" in browsers[0].press("/agree")
            for browser in browsers:
                browser.press("/buy")
                page = browser.request("GET", "/privacy")
                assert page.startswith("“The device” is this shop's server: ")
                assert f"\n\n{survey.title}" in page
            [text] = consents(state)
            assert text.startswith("“The device” is")
            assert run("bash", "-c", timer.removeprefix("watch -n 900 "), COLLECTOR=url) == ""
            browsers[0].press("/buy")  # more than a second later: the events before are written
            assert events(state) >= 1
            assert "May we count" in browsers[0].press("/withdraw")
    assert events(state) == 0
    assert consents(state) == []


def test_fastapi_shop(run: Run, folder: Path, environment: dict[str, str], survey: Survey) -> None:
    """As its header says, and over a tick of the app's own timer, which makes the answer of whoever agreed."""
    _, _, serve, shop, *requests = header("fastapi_shop.py")
    assert serve == SERVE
    state = folder / "fastapi-shop.db"
    command = shop.removesuffix(" 8000 &").split()
    with started(folder, environment | {"TICK_SECONDS": "0.2"}, [*command, "0"], r"running on (http\S+)") as found:
        asked = [re.search(r"(?:-X (\w+) )?'?http://127\.0\.0\.1:8000(/[^' ]*)", one) for one in requests]
        browser = Browser(found[1])
        answers = [browser.request(one[1] or "GET", one[2]) for one in asked if one is not None]
        assert answers[:2] == ['{"stored":true}', '{"bought":"books"}']
        assert "shopping-habits v1: agreed" in answers[2]
        stranger = Browser(found[1])
        assert stranger.request("POST", "/purchases?amount=1&category=music") == '{"bought":"music"}'
        assert stranger.request("GET", "/privacy").startswith("“The device” is this shop's server: ")
        deadline = monotonic() + 30
        while "1 waiting to be sent" not in browser.request("GET", "/status"):
            assert monotonic() < deadline
            sleep(0.1)
        assert events(state) == 1
        assert len(consents(state)) == 1
        assert len(what_leaves(state, survey).reports) == 1
        assert browser.request("DELETE", "/consent") == '{"erased":true}'
    assert events(state) == 0
    assert consents(state) == []


TRUTH = {"none": 0.4, "once": 0.3, "regular": 0.2, "heavy": 0.1}  # of the customers of reports_today.py


@pytest.mark.parametrize(
    "edits",
    [
        pytest.param({}, id="as-written", marks=pytest.mark.slow),
    ],
)
def test_reports_arrive_today(run: Run, folder: Path, environment: dict[str, str], edits: dict[str, str]) -> None:
    """Every answer of this week is counted by a real collector, and the table that the header asks for is published."""
    file = folder / "shopping-habits.toml"
    file.unlink()
    new, serve, example, estimate = header("reports_today.py")
    run("bash", "-c", f"{new} 2>new.log")
    text = file.read_text()
    for old, changed in edits.items():
        assert old in text
        text = text.replace(old, changed)
    file.write_text(text)
    assert serve == SERVE
    with collecting(folder, environment) as url:
        printed = run("bash", "-c", f"{example} 2>progress.log", COLLECTOR=url)
        found = re.search(r"^([\d,]+) reports were counted", printed, re.MULTILINE)
        assert found is not None
        counted = int(found[1].replace(",", ""))
        rows = json.loads(run("bash", "-c", f"{estimate} --format json"))
        everything = json.loads(run(*estimate.split()[:3], "--format", "json"))
    survey = Survey.load(file)
    assert re.match(r"1 of [\d,]+ done; about \d+ s left\n", (folder / "progress.log").read_text())
    assert {row["epoch"] for row in everything} == {survey.epoch.label(survey.starts)}
    assert sum({row["question"]: row["reports"] for row in everything}.values()) == counted
    # each of four questions has 6 standard deviations more reports than it needs: fails by chance 1 in 10^6
    assert all(row["published"] for row in everything)
    assert {row["segment"] for row in rows} == set(TRUTH)
    for row in rows:  # fails by chance 1 in 10^8
        assert abs(row["estimate"] - TRUTH[row["segment"]]) < 6 * row["standard_error"]


def test_reports_today_says_why_none_arrive(run: Run) -> None:
    command = ("python", "examples/reports_today.py")
    run(*command, fails="The client does not count: DO_NOT_TRACK is set.", DO_NOT_TRACK="1")
    why = "the last try failed: the connection was refused"
    run(*command, fails=f"The batch was not delivered: {why}. Is `hushtally serve` running?")
