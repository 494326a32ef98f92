"""Every command and every example of the README runs as it stands there."""

import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from client_sdk.mechanisms import NAMES
from client_sdk.signals import Function
from hushtally import Survey

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.removeprefix("$ ")
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("$ hushtally ")
]


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory):
    """A newcomer's folder and environment, with the command on the path."""
    home = tmp_path_factory.mktemp("home")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return home, {**os.environ, "PATH": path, "HOME": str(home)}


@pytest.fixture(scope="module")
def survey(newcomer):
    """The survey file that the README begins with."""
    home, environment = newcomer
    subprocess.run(["hushtally", "survey", "new", "shopping-habits.toml"], cwd=home, env=environment, check=True)
    return home / "shopping-habits.toml"


def test_the_readme_names_the_two_commands_and_all_others():
    """`make demo` and `make test` come first; every subcommand that a newcomer needs is there."""
    assert README.index("make demo") < README.index("make test") < README.index("$ hushtally")
    assert {command.split()[1] for command in COMMANDS} == {"survey", "tune", "simulate", "audit", "serve", "estimate"}


@pytest.mark.parametrize("command", [one for one in COMMANDS if "survey new" not in one and "serve" not in one])
def test_a_command_of_the_readme_runs(newcomer, survey, command):
    """The commands run as printed, one after the other, in a newcomer's folder; while a collector serves the survey."""
    home, environment = newcomer
    serve = shlex.split(next(one for one in COMMANDS if "serve" in one).replace("--port 8080", "--port 0"))
    server = subprocess.Popen(serve, cwd=home, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        assert "collecting shopping-habits v1" in server.stderr.readline()
        done = subprocess.run(
            shlex.split(command), cwd=home, env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
    finally:
        server.terminate()
        assert server.wait(20) == 0
        server.stderr.close()


def test_the_sdk_in_ten_lines_runs(newcomer, survey):
    """The README's program runs as it stands, in ten statements, without a network, and explains itself."""
    home, environment = newcomer
    program = re.search(r"```python\n(.*?)```", README, re.DOTALL)[1]
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "How people shop with us (shopping-habits v1)" in done.stdout
    assert "The customer agreed." in done.stdout
    assert time.monotonic() - began < 20
    assert (home / ".shop" / "hushtally.db").exists()


def test_the_survey_in_the_readme_is_the_one_that_is_written(survey):
    """The lines of a survey that the README shows stand in the file that `survey new` writes."""
    written = {re.sub(r"\s+", " ", line) for line in survey.read_text(encoding="utf-8").splitlines()}
    shown = re.search(r"```toml\n(.*?)```", README, re.DOTALL)[1]
    missing = {re.sub(r"\s+", " ", line) for line in shown.splitlines()} - written
    assert not missing


def test_the_reference_of_the_survey_file_is_sound(survey):
    """Every snippet of the reference reads as part of a survey; its fields are those that a resolved survey has."""
    reference = (ROOT / "docs" / "survey.md").read_text(encoding="utf-8")
    written = survey.read_text(encoding="utf-8")
    head = written[: written.index("[cohorts]")]
    snippets = re.findall(r"```toml\n(.*?)```", reference, re.DOTALL)
    asked = Survey.parse(head + "\n".join(snippets))
    assert [question.id for question in asked.questions] == ["frequency", "affinity", "basket", "frequency_x_affinity"]
    assert asked.question("basket").segments == ("0-20", "20-50", "50+", "none")
    stated = {*asked.resolved, *asked.resolved["privacy"], "epsilon_permanent", "changes", *Function, *NAMES}
    assert [field for field in stated if f"`{field}`" not in reference and field not in reference] == []


def test_every_link_leads_somewhere():
    """Each relative link and picture of the README is a file or folder of the project."""
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert len(links) > 10
    assert [link for link in links if not link.startswith("http") and not (ROOT / link).exists()] == []
