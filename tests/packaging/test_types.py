"""How a type checker and an editor see hushtally from an app that embeds the SDK."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jedi
import pytest

ROOT = Path(__file__).parents[2]

PROGRAM = """
from hushtally import Client, Survey


def run(path: str) -> str:
    survey: Survey = Survey.load(path)
    client = Client(survey, collector="https://tally.shop.example", state=":memory:", cohort={"platform": "web"})
    client.grant_consent()
    client.record("purchase", amount=24.90, category="books")
    client.tick()
    return survey.digest
"""

Check = Callable[[str, Any], subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def check(tmp_path_factory: pytest.TempPathFactory) -> Check:
    """Checks a program with `mypy --strict` against the hushtally of an environment; runs share their cache."""
    folder = tmp_path_factory.mktemp("app")

    def run(program: str, environment: Any) -> subprocess.CompletedProcess[str]:
        path = folder / "app.py"
        path.write_text(program)
        options = ["--strict", "--config-file=", "--cache-dir", folder / "cache"]
        options += ["--python-executable", environment.python]
        command = [sys.executable, "-m", "mypy", *options, path]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)

    return run


@pytest.mark.parametrize(
    ("program", "problem"),
    [
        (PROGRAM, None),
        (PROGRAM.replace("survey.digest", "survey.version"), 'got "int", expected "str"'),
        (PROGRAM.replace("amount=24.90", "amount=[]"), 'has incompatible type "list['),
    ],
)
def test_mypy_checks_an_app_against_an_editable_installation(
    check: Check, editable: Any, program: str, problem: str | None
) -> None:
    """A strict mypy accepts an app that embeds the SDK, and reports a mistake in the app."""
    done = check(program, editable.environment)
    assert done.returncode == (0 if problem is None else 1), done.stdout + done.stderr
    assert (problem or "Success") in done.stdout


def test_mypy_checks_an_app_against_the_wheel(check: Check, installed: Any) -> None:
    """The wheel carries its types: a strict mypy accepts an app, and reports a mistake in the app."""
    assert check(PROGRAM, installed).returncode == 0
    wrong = check(PROGRAM.replace("survey.digest", "survey.version"), installed)
    assert 'got "int", expected "str"' in wrong.stdout


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("from hushtally import Client\nClient", "client_sdk/client.py"),
        ("import hushtally\nhushtally.Survey", "client_sdk/survey/survey.py"),
        ("import hushtally.collector.app\nhushtally.collector.app.create_app", "collector/app.py"),
        ("from hushtally.aggregator.summary import summarize\nsummarize", "aggregator/summary.py"),
        ("from hushtally.simulations.tune.tuning import tune\ntune", "simulations/tune/tuning.py"),
        ("from hushtally.survey.card.card import card\ncard", "hushtally/survey/card/card.py"),
    ],
)
def test_an_editor_finds_the_definition_in_the_checkout(tmp_path: Path, editable: Any, source: str, place: str) -> None:
    """ "Go to definition" in an app opens the file of the checkout, not a copy."""
    project = jedi.Project(tmp_path, environment_path=editable.environment.folder)
    script = jedi.Script(source, path=tmp_path / "app.py", project=project)
    found = script.goto(follow_imports=True)
    assert [one.module_path.resolve() for one in found] == [(editable.checkout / place).resolve()]


def test_an_editor_completes_the_public_names(tmp_path: Path, editable: Any) -> None:
    """`hushtally.` offers the names that an app imports, and a client offers its methods."""
    project = jedi.Project(tmp_path, environment_path=editable.environment.folder)

    def complete(source: str) -> set[str]:
        return {one.name for one in jedi.Script(source, path=tmp_path / "app.py", project=project).complete()}

    assert {"Client", "Survey", "fetch_survey"} <= complete("import hushtally\nhushtally.")
    assert {"record", "tick", "status"} <= complete(
        "from hushtally import Client\ndef shop(client: Client) -> None:\n    client."
    )
