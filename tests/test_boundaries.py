"""The walls between the packages: who may import whom, what importing costs, and what is shipped."""

import ast
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

# the part of the SDK without any effect: all that the collector and the aggregator may know of it
PURE = {
    "canonical", "channel", "epochs", "errors", "explain", "fields", "file_kinds", "mechanisms", "questions",
    "randomness", "report", "retention", "rules", "signals", "status", "survey", "survey_changes", "survey_file",
    "survey_reader", "wording",
}  # fmt: skip
EFFECTS = {
    "asyncio", "atexit", "http", "logging", "multiprocessing", "random", "secrets", "shutil", "signal", "socket",
    "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time", "urllib", "warnings",
}  # fmt: skip


def sources(*packages):
    """Every source file of the packages, with its path from the root."""
    return [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]


def imported(path):
    """The full names of all that a file imports, wherever in the file: modules, and what it takes from packages."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def tops(path):
    """The outermost packages that a file imports."""
    return {name.partition(".")[0] for name in imported(path)}


def sdk_parts(path):
    """The modules of the SDK that a file imports; '' for the package itself, which brings the client along."""
    found = set()
    for name in imported(path):
        package, _, rest = name.partition(".")
        if package == "client_sdk":
            part = rest.partition(".")[0]
            found.add(part if (ROOT / "client_sdk" / f"{part}.py").exists() or part == "mechanisms" else "")
    return found


def run_python(code, **environment):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | environment,
    )


@pytest.mark.parametrize("package", ["client_sdk", "hushtally"])
def test_importing_the_sdk_on_a_device_is_cheap(package):
    """A fresh interpreter that imports the SDK has loaded nothing that costs start-up time or memory."""
    heavy = ["numpy", "flask", "click", "sqlite_utils", "urllib.request", "ssl", "http", "asyncio", "scipy", "rich"]
    done = run_python(f"import sys, {package}; print([name for name in {heavy} if name in sys.modules])")
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_the_sdk_imports_the_standard_library_pure_eval_and_itself_only():
    """Whatever else a device had to install would be an attack surface and a download."""
    allowed = sys.stdlib_module_names | {"pure_eval", "client_sdk"}
    assert {(str(path), tops(path) - allowed) for path in sources("client_sdk") if tops(path) - allowed} == set()


def test_the_sdk_alone_works_without_any_extra():
    """With every other package hidden, a survey is read, resolved and answered."""
    code = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"numpy", "scipy", "flask", "click", "rich", "sqlite_utils", "waitress",
                                      "collector", "aggregator", "simulations"}:
            raise ImportError(name)
sys.meta_path.insert(0, Hidden())
from pathlib import Path
from hushtally import Survey
survey = Survey.load(Path("hushtally/example.toml"))
print(len(survey.digest), survey.questions[0].form.value({"orders_90d": 3}))
"""
    done = run_python(code)
    assert (done.stdout, done.stderr) == ("64 2\n", "")


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [
        ("client_sdk", {"hushtally", "collector", "aggregator", "simulations"}),
        ("collector", {"hushtally", "aggregator", "simulations"}),
        ("aggregator", {"hushtally", "collector", "simulations"}),
        ("simulations", set()),
        ("hushtally", set()),
    ],
)
def test_imports_point_one_way(package, forbidden):
    """simulations -> aggregator, collector -> client_sdk: the parties meet in the survey, not in each other's code."""
    assert {(str(path), name) for path in sources(package) for name in tops(path) & forbidden} == set()


@pytest.mark.parametrize("package", ["collector", "aggregator"])
def test_the_servers_know_the_pure_part_of_the_sdk_only(package):
    """No server code touches a device's state, clock or network."""
    assert {(str(path), part) for path in sources(package) for part in sdk_parts(path) - PURE} == set()


def test_the_pure_part_is_pure():
    """Its files import each other and what has no effect: no clock, network, thread or randomness of their own."""
    files = [path for path in sources("client_sdk") if path.stem in PURE or path.parent.name == "mechanisms"]
    assert len(files) > len(PURE)
    for path in files:
        assert sdk_parts(path) <= PURE, path
        assert not tops(path) & EFFECTS, path


def test_randomness_comes_in_by_argument():
    """No module holds a generator but the one for tests: nothing on a device can be seeded."""
    callers = {path.name for path in sources("client_sdk") if tops(path) & {"random", "secrets"}}
    assert callers <= {"testing.py"}


def test_the_formula_of_the_channel_stands_in_one_place():
    """p - q, that is the debiasing, is written once, for client, aggregator, simulations and command."""
    formula = re.compile(r"\bp\s*-\s*(?:\w+\.)*q\b")
    found = {str(path.relative_to(ROOT)) for path in sources(*PACKAGES) if formula.search(path.read_text("utf-8"))}
    assert found == {"client_sdk/channel.py"}


def test_the_wheel_is_declared_to_hold_the_five_packages():
    """The declaration names exactly them, the SDK is all that the base install needs, and each package is typed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"] == {"packages": list(PACKAGES)}
    assert [re.match(r"[\w-]+", one)[0] for one in project["project"]["dependencies"]] == ["pure-eval"]
    for package in PACKAGES:
        assert (ROOT / package / "py.typed").exists()
        assert (ROOT / package / "__init__.py").exists()


def test_the_wheel_holds_exactly_the_five_packages(tmp_path, monkeypatch):
    """Built as a user's installer builds it: five typed packages, their data, and nothing of tests or benchmarks."""
    build = pytest.importorskip("hatchling.build")
    monkeypatch.chdir(ROOT)
    with zipfile.ZipFile(tmp_path / build.build_wheel(str(tmp_path))) as wheel:
        names = wheel.namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == set(PACKAGES)
    assert {f"{package}/py.typed" for package in PACKAGES} | {"hushtally/example.toml"} <= set(names)
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
