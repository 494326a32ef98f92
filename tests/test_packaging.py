"""What importing costs, what is shipped, and how an app sees the installed packages."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("hushtally", "client_sdk", "collector", "aggregator", "simulations")


def run_python(code, **environment):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | environment,
    )


@pytest.mark.parametrize("package", ["hushtally", "hushtally.client_sdk.client"])
def test_importing_the_sdk_on_a_device_is_cheap(package):
    """A fresh interpreter that imports the SDK has loaded nothing that costs start-up time or memory."""
    heavy = ["numpy", "flask", "click", "sqlite_utils", "urllib.request", "ssl", "http", "asyncio", "scipy", "rich"]
    done = run_python(f"import sys, {package}; print([name for name in {heavy} if name in sys.modules])")
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_the_sdk_alone_works_without_any_extra():
    """With every other package hidden, a survey is read, resolved and answered."""
    code = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"numpy", "scipy", "flask", "click", "rich", "sqlite_utils",
                                      "waitress"}:
            raise ImportError(name)
sys.meta_path.insert(0, Hidden())
from pathlib import Path
from hushtally import Survey
survey = Survey.load(Path("hushtally/example.toml"))
print(len(survey.digest), survey.questions[0].form.value({"orders_90d": 3}))
"""
    done = run_python(code)
    assert (done.stdout, done.stderr) == ("64 2\n", "")


def test_the_base_install_needs_pure_eval_only() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert [re.match(r"[\w-]+", one)[0] for one in project["project"]["dependencies"]] == ["pure-eval"]


def test_the_wheel_holds_one_package(tmp_path, monkeypatch):
    """Everything is under `hushtally`: no top-level name that an app or another wheel may use too."""
    build = pytest.importorskip("hatchling.build")
    monkeypatch.chdir(ROOT)
    with zipfile.ZipFile(tmp_path / build.build_wheel(str(tmp_path))) as wheel:
        names = wheel.namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"hushtally"}
    sources = {
        str(path.relative_to(ROOT) if package == "hushtally" else Path("hushtally") / path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if not any(one.is_symlink() for one in path.parents)
    }
    assert sources == {name for name in names if name.endswith(".py")}
    assert {"hushtally/py.typed", "hushtally/example.toml", "hushtally/simulations/demo/data/cdnow.toml"} <= set(names)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert not [name for name in names if "__pycache__" in name or name.endswith((".pyc", ".db"))]


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


@pytest.mark.parametrize(
    ("program", "problem"),
    [
        (PROGRAM, None),
        (PROGRAM.replace("survey.digest", "survey.version"), 'got "int", expected "str"'),
        (PROGRAM.replace("amount=24.90", "amount=[]"), 'has incompatible type "list['),
    ],
)
def test_a_program_outside_is_checked_against_our_types(tmp_path, program, problem):
    """A strict mypy of an app that embeds the SDK passes, and finds a mistake in it: the types arrive there."""
    path = tmp_path / "app.py"
    path.write_text(program)
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file=",
        "--cache-dir",
        str(tmp_path / "cache"),
        str(path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == (0 if problem is None else 1), done.stdout + done.stderr
    assert (problem or "Success") in done.stdout
