"""The demonstration as a newcomer runs it: real processes, a real database."""

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
from hushtally.simulations.charts.bars import BAR, BLUE
from hushtally.simulations.demo.command import DATABASE, SURVEY, print_lines
from hushtally.simulations.demo.purchases import load_customers
from hushtally.simulations.demo.replay import compare

HUSHTALLY = str(Path(sys.executable).parent / "hushtally")
MUST_END = 300.0  # seconds, on a machine however slow


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([HUSHTALLY, *arguments], cwd=folder, capture_output=True, text=True, timeout=MUST_END)


def processes_about(text: str) -> list[str]:
    """The command lines of all living processes that hold `text`."""
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


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """One demonstration with 1,000 customers that keeps its folder, and what it printed."""
    folder = tmp_path_factory.mktemp("newcomer")
    picture = ("--picture", "demo.svg")
    done = run("demo", "--customers", "1000", "--seed", "3", "--keep", "my kept", *picture, folder=folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_it_prints_every_interval_beside_the_truth(kept):
    """All 26 segments, for all customers and for each of three cohorts, and how many intervals hold the truth."""
    _, out = kept
    lines = re.findall(r"^.*%.*% to .*%\s+(?:yes|no)\s*$", out, re.MULTILINE)
    assert len(lines) == 26 * 4
    held, of = map(int, re.search(r"(\d+) of (\d+) intervals hold the truth", out).groups())
    assert (held, of) == (sum(line.rstrip().endswith("yes") for line in lines), 104)
    assert [line for line in out.splitlines() if line.endswith(" ")] == []
    assert "truth: all these customers" in out
    assert "the month of the first purchase, which stands for a registration date" in out


@pytest.mark.parametrize(("width", "drawn"), [(50, False), (80, False), (120, True)])
def test_a_narrow_terminal_loses_the_picture_before_any_column(kept, width, drawn):
    """Every figure of every question is whole at any width, and an 80-column terminal needs to wrap nothing."""
    folder, out = kept
    lines = compare(Survey.load(folder / "my kept" / SURVEY), folder / "my kept" / DATABASE, load_customers(1000, 3))
    console = Console(width=width, force_terminal=True, color_system=None, highlight=False, file=io.StringIO())
    for question, group in groupby(lines, key=lambda line: line.row.question):
        print_lines(question, list(group), console)
    text = console.file.getvalue()
    assert "\u2026" not in text
    assert ("●" in text) == drawn
    assert text.count("covers") == 4
    figures = re.compile(r"-?[\d.]+% +-?[\d.]+% +-?[\d.]+% to -?[\d.]+% +(?:yes|no)")
    assert figures.findall(text) == figures.findall(out)
    assert len(figures.findall(text)) == 104
    if width >= 80:
        assert max(map(len, text.splitlines())) <= width


def test_it_says_why_some_estimates_are_below_0(kept):
    """In a pipe no sentence is broken."""
    assert "Intervals are shown whole, as `hushtally estimate` shows them, so that it can be counted how" in kept[1]


def test_it_says_what_one_run_can_be(kept):
    """95% on average; and from where to where runs lie, this one surely within them all."""
    said = re.search(r"1,000 more, .* had ([\d.]+)% on average, 9 in 10 of them from ([\d.]+)% to ([\d.]+)%", kept[1])
    mean, low, high = map(float, said.groups())
    assert 94 <= mean <= 97
    assert low < mean < high <= 100


@pytest.mark.parametrize(("customers", "words"), [(1, ["1 customer of a", "1 report "]), (2, ["2 customers of a"])])
def test_one_is_not_many(tmp_path, customers, words):
    """And nothing but words goes to a pipe."""
    done = run("demo", "--customers", str(customers), folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert [word for word in words if word not in done.stdout] == []
    assert "1 reports" not in done.stdout


def test_a_device_that_cannot_deliver_is_counted(monkeypatch):
    monkeypatch.setattr("hushtally.simulations.demo.command.replay", lambda people, *_: len(people) - 1)
    done = CliRunner().invoke(main, ["demo", "--customers", "3"])
    assert (done.exit_code, done.output) == (1, "Error: 1 device of 3 could not deliver an answer\n")


def test_it_draws_every_share_of_all_customers(kept):
    """The picture is well-formed, has a title, a bar for each of the 26 segments, and calls the misses so."""
    folder, out = kept
    root = ElementTree.parse(folder / "demo.svg").getroot()
    svg = "{http://www.w3.org/2000/svg}"
    assert root.findtext(f"{svg}title") == "1,000 customers, one randomized answer each, epsilon 1"
    assert root.findtext(f"{svg}desc").count("truth") == 26
    colours = [child.get("fill") for child in root.iter(f"{svg}polygon")]
    assert colours.count(BAR) == colours.count(BLUE) == 26 + 1
    texts = [child.text for child in root.iter(f"{svg}text")]
    everyone = re.findall(r"all  .*?\n\s*\n", out, re.DOTALL)
    assert len(everyone) == 4
    assert texts.count("miss") == sum(len(re.findall(r" no\s*$", part, re.MULTILINE)) for part in everyone)
    assert {"0%", "truth; outside the bar: a miss"} <= set(texts)


def test_the_next_commands_work_as_printed(kept):
    """The three commands that it ends with run as printed, in the folder it ran in."""
    folder, out = kept
    commands = out.split("Next:")[1].strip().splitlines()
    assert len(commands) == 3
    for command in commands:
        done = subprocess.run(shlex.split(command), cwd=folder, capture_output=True, text=True, timeout=MUST_END)
        assert done.returncode == 0, (command, done.stderr)
        assert done.stdout


def test_without_keeping_nothing_stays_and_other_commands_follow(tmp_path):
    """A demonstration that keeps nothing leaves no file, and its three commands work in turn."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    environment = os.environ | {"TMPDIR": str(temporary)}
    command = [HUSHTALLY, "demo", "--customers", "20"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=MUST_END)
    assert done.returncode == 0, done.stderr
    assert "Too few reports to publish anything" in done.stdout
    assert list(tmp_path.iterdir()) == [temporary]
    assert not list(temporary.iterdir())
    commands = [line.strip() for line in done.stdout.split("Next:")[1].strip().splitlines()]
    for line in commands:
        words = shlex.split(line.replace("--customers 5000", "--customers 300"))
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=MUST_END)
        assert done.returncode == 0, (line, done.stderr)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_leaves_no_process_and_no_file(tmp_path, how):
    """Ctrl-C, or a polite kill, in the middle ends everything at once."""
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        [HUSHTALLY, "demo"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    deadline = time.monotonic() + MUST_END
    while not list(tmp_path.glob("*/device-150.db")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert process.poll() is None
    assert processes_about(str(tmp_path))
    if how is signal.SIGINT:
        os.killpg(process.pid, how)  # as a terminal does
    else:
        process.send_signal(how)
    out, _ = process.communicate(timeout=MUST_END)
    assert process.returncode == 1
    assert b"Traceback" not in out
    assert not processes_about(str(tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_port_in_use_is_one_line(tmp_path):
    """A port that something else listens on ends the demonstration with one clear line."""
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
    """Epsilon is a number from 0.01 to 8."""
    done = CliRunner().invoke(main, ["demo", "--epsilon", epsilon])
    assert done.exit_code == 2
    assert "Invalid value for '--epsilon'" in done.output


def test_a_folder_that_holds_files_is_left_alone(tmp_path):
    """--keep takes a new or an empty folder, and says so."""
    (tmp_path / "mine").write_text("precious")
    done = CliRunner().invoke(main, ["demo", "--keep", str(tmp_path)])
    assert done.exit_code == 2
    assert f"'--keep': must be a new or an empty folder, got {tmp_path}, which holds files" in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_the_picture_is_drawn_whoever_reads_the_tables(tmp_path, monkeypatch):
    """A reader who has seen enough closes the pipe: the file that was asked for is there by then."""

    def closed(*_):
        raise BrokenPipeError

    monkeypatch.setattr("hushtally.simulations.demo.command.print_words", closed)
    image = tmp_path / "demo.svg"
    CliRunner().invoke(main, ["demo", "--customers", "3", "--picture", str(image)])
    assert image.read_text(encoding="utf-8").endswith("</svg>\n")


def test_it_says_at_once_that_devices_are_switched_off(monkeypatch):
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    done = CliRunner().invoke(main, ["demo"])
    assert done.exit_code == 1
    assert done.output == "Error: real clients cannot be simulated here: DO_NOT_TRACK is set\n"
