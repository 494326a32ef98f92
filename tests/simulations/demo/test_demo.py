"""The demo as a new user runs it, with real processes and a real database."""

import io
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from rich.console import Console

from hushtally.cli import main
from hushtally.client_sdk.survey import Survey
from hushtally.simulations.charts.bar_chart import BAR, BLUE
from hushtally.simulations.demo.comparison import compare
from hushtally.simulations.demo.purchases import load_customers
from hushtally.simulations.demo.survey import DATABASE_FILE, SURVEY_FILE
from hushtally.simulations.demo.tables import print_question
from progress_recorder import ProgressRecorder

HUSHTALLY = str(Path(sys.executable).parent / "hushtally")
TIMEOUT = 300.0  # seconds, also on a slow machine


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([HUSHTALLY, *arguments], cwd=folder, capture_output=True, text=True, timeout=TIMEOUT)


def processes_with(text: str) -> list[str]:
    """The command lines of all running processes that contain `text`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if text in line:
                found.append(line)
    return found


def next_commands(out: str) -> list[str]:
    """The commands at the end of the output; each follows a comment with its purpose."""
    lines = [line.strip() for line in out.split("Next:")[1].strip().splitlines()]
    assert all(comment.startswith("# ") and comment.endswith(":") for comment in lines[::2])
    return lines[1::2]


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The folder and the output of one demo with 1,000 customers that keeps its files."""
    folder = tmp_path_factory.mktemp("user")
    picture = ("--picture", "demo.svg")
    done = run("demo", "--customers", "1000", "--seed", "3", "--keep", "my kept", *picture, folder=folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_it_prints_every_interval_and_true_share(kept):
    """It prints 26 segments, for all customers and for three cohorts, and how many intervals contain the true value."""
    _, out = kept
    lines = re.findall(r"^.*%.*% to .*%\s+(?:yes|no)\s*$", out, re.MULTILINE)
    assert len(lines) == 26 * 4
    covering, total = map(int, re.search(r"(\d+) of (\d+) intervals contain the true value", out).groups())
    assert (covering, total) == (sum(line.rstrip().endswith("yes") for line in lines), 104)
    assert [line for line in out.splitlines() if line.endswith(" ")] == []
    assert "truth: the true share of these customers." in out
    assert "the month of the first purchase, used as the date of registration" in out


@pytest.mark.parametrize(("width", "drawn"), [(50, False), (80, False), (120, True)])
def test_a_narrow_terminal_drops_the_drawing_before_any_column(kept, width, drawn):
    """Every figure is complete at any width, and no line is wrapped in 80 columns."""
    folder, out = kept
    kept_folder = folder / "my kept"
    survey = Survey.load(kept_folder / SURVEY_FILE)
    comparisons = compare(survey, kept_folder / DATABASE_FILE, load_customers(1000, 3))
    console = Console(width=width, force_terminal=True, color_system=None, highlight=False, file=io.StringIO())
    for question, group in groupby(comparisons, key=lambda one: one.row.question):
        print_question(question, list(group), console)
    text = console.file.getvalue()
    assert "\u2026" not in text
    assert ("●" in text) == drawn
    assert text.count("covers") == 4
    figures = re.compile(r"-?[\d.]+% +-?[\d.]+% +-?[\d.]+% to -?[\d.]+% +(?:yes|no)")
    assert figures.findall(text) == figures.findall(out)
    assert len(figures.findall(text)) == 104
    if width >= 80:
        assert max(map(len, text.splitlines())) <= width


def test_it_explains_negative_estimates(kept):
    """In a pipe, no sentence is wrapped."""
    assert "Estimates and intervals are not cut at 0%, as in `hushtally estimate`, so that every interval" in kept[1]


def test_it_says_how_much_runs_differ(kept):
    """It prints the mean coverage of 1,000 runs, and the range of 9 of 10 runs."""
    printed = re.search(r"In 1,000 more runs, .* ([\d.]+)% of .* In 9 of 10 runs, ([\d.]+)% to ([\d.]+)% do", kept[1])
    mean, low, high = map(float, printed.groups())
    assert 94 <= mean <= 97
    assert low < mean < high <= 100


@pytest.mark.slow
@pytest.mark.parametrize(("customers", "words"), [(1, ["1 customer of a", "1 report "]), (2, ["2 customers of a"])])
def test_one_customer_is_in_the_singular(tmp_path, customers, words):
    """A pipe gets no progress bar."""
    done = run("demo", "--customers", str(customers), folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert [word for word in words if word not in done.stdout] == []
    assert "1 reports" not in done.stdout


@pytest.mark.slow
def test_every_part_shows_progress(monkeypatch):
    """From reading the log to the simulated runs, no part is without a bar."""
    bars = ProgressRecorder()
    monkeypatch.setattr("hushtally.simulations.demo.command.progress_bar", bars)
    done = CliRunner().invoke(main, ["demo", "--customers", "600"])
    assert done.exit_code == 0, done.output
    first, *others = [description.partition(" to http")[0] for description, _, _ in bars.shown]
    assert first == "Reading the purchase log"
    assert others == [
        "Starting the collector",
        "600 devices record purchases and send reports",
        "Stopping the collector",
        "Comparing the estimates with the truth",
        "Simulating 1,000 more runs",
    ]
    assert [(steps, taken) for _, steps, taken in bars.shown if steps] == [(600, 600), (1_000, 1_000)]


def test_a_report_that_does_not_arrive_is_an_error(monkeypatch):
    monkeypatch.setattr("hushtally.simulations.demo.command.replay", lambda people, *_: len(people) - 1)
    done = CliRunner().invoke(main, ["demo", "--customers", "3"])
    assert (done.exit_code, done.output) == (1, "Error: the reports of 1 device out of 3 did not reach the collector\n")


def test_the_picture_shows_every_share_of_all_customers(kept):
    """It is well-formed, and has a title, a bar for each of the 26 segments, and a label for each miss."""
    folder, out = kept
    root = ElementTree.parse(folder / "demo.svg").getroot()
    svg = "{http://www.w3.org/2000/svg}"
    assert root.findtext(f"{svg}title") == "1,000 customers, one randomized answer each, epsilon 1"
    assert root.findtext(f"{svg}desc").count("true value") == 26
    colours = [child.get("fill") for child in root.iter(f"{svg}polygon")]
    assert colours.count(BAR) == colours.count(BLUE) == 26 + 1
    texts = [child.text for child in root.iter(f"{svg}text")]
    everyone = re.findall(r"all  .*?\n\s*\n", out, re.DOTALL)
    assert len(everyone) == 4
    assert texts.count("miss") == sum(len(re.findall(r" no\s*$", part, re.MULTILINE)) for part in everyone)
    assert {"0%", "true value; outside: a miss"} <= set(texts)


def test_the_next_commands_work_as_printed(kept):
    """The last lines are three commands that run as printed, in the folder of the demo."""
    folder, out = kept
    commands = next_commands(out)
    assert len(commands) == 3
    for command in commands:
        done = subprocess.run(shlex.split(command), cwd=folder, capture_output=True, text=True, timeout=TIMEOUT)
        assert done.returncode == 0, (command, done.stderr)
        assert done.stdout


@pytest.mark.slow
def test_without_keep_no_file_stays(tmp_path):
    """The demo deletes its files, and the three commands that it prints work one after the other."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    environment = os.environ | {"TMPDIR": str(temporary)}
    command = [HUSHTALLY, "demo", "--customers", "20"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 0, done.stderr
    assert "There are too few reports to publish an estimate." in done.stdout
    assert list(tmp_path.iterdir()) == [temporary]
    assert not list(temporary.iterdir())
    commands = next_commands(done.stdout)
    for line in commands:
        words = shlex.split(line.replace("--customers 5000", "--customers 300"))
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT)
        assert done.returncode == 0, (line, done.stderr)


@pytest.mark.parametrize("how", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_an_interrupt_leaves_no_process_and_no_file(tmp_path, how):
    """Ctrl-C or SIGTERM stops the demo and its collector, and is one line."""
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        [HUSHTALLY, "demo"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    deadline = time.monotonic() + TIMEOUT
    while process.poll() is None and not list(tmp_path.glob("*/device-150.db")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert process.poll() is None
    assert processes_with(str(tmp_path))
    if how is signal.SIGINT:
        os.killpg(process.pid, how)  # as a terminal does
    else:
        process.send_signal(how)
    out, _ = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, out) == (130, b"Interrupted.\n")
    assert not processes_with(str(tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_port_in_use_is_one_clear_line(tmp_path):
    """If another process uses the port, the demo ends with one clear line."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("demo", "--customers", "5", "--port", str(port), folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("Error: the collector did not start")
    assert str(port) in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("epsilon", ["0", "-1", "80", "much"])
def test_an_impossible_epsilon_is_a_usage_error(epsilon):
    """Epsilon must be a number from 0.01 to 8."""
    done = CliRunner().invoke(main, ["demo", "--epsilon", epsilon])
    assert done.exit_code == 2
    assert "Invalid value for '--epsilon'" in done.output


def test_a_folder_with_files_does_not_change(tmp_path):
    """--keep accepts only a new or an empty folder."""
    (tmp_path / "mine").write_text("precious")
    done = CliRunner().invoke(main, ["demo", "--keep", str(tmp_path)])
    assert done.exit_code == 2
    assert f"'--keep': must be a new or an empty folder, but {tmp_path} contains files" in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_the_picture_is_written_before_the_tables_are_printed(tmp_path, monkeypatch):
    """The picture exists even if the reader of stdout closes the pipe."""

    def closed(*_):
        raise BrokenPipeError

    monkeypatch.setattr("hushtally.simulations.demo.command.print_words", closed)
    image = tmp_path / "demo.svg"
    CliRunner().invoke(main, ["demo", "--customers", "3", "--picture", str(image)])
    assert image.read_text(encoding="utf-8").endswith("</svg>\n")


def test_an_environment_that_disables_clients_is_an_error_at_once(monkeypatch):
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    done = CliRunner().invoke(main, ["demo"])
    assert done.exit_code == 1
    assert done.output == "Error: cannot simulate real clients: DO_NOT_TRACK is set; unset it and try again\n"
