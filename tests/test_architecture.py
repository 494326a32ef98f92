"""The architecture as rules: which folder may import which, which folders are pure, and that nothing goes in circles.

ARCHITECTURE.md shows the same rules as a picture.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("client_sdk", "collector", "aggregator", "simulations")

PURE = ("mechanisms", "protocol", "survey", "explain")  # folders of client_sdk: values in, values out
EFFECTS = {
    "asyncio", "atexit", "http", "logging", "multiprocessing", "pathlib", "random", "secrets", "shutil", "signal",
    "socket", "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time", "urllib", "warnings",
}  # fmt: skip
READS_A_FILE = "client_sdk/survey/toml_file.py"  # for `Survey.load`, which an app calls with a path

# `leaves` import nothing of ours but other leaves
LEAVES = {
    "client_sdk.errors", "client_sdk.error_text", "client_sdk.randomness", "client_sdk.canonical_json",
    "client_sdk.failures", "client_sdk.forking", "client_sdk.stale_log",
    "client_sdk.clock", "client_sdk.calls",
}  # fmt: skip
OF_THE_COMMAND = ("hushtally.output", "hushtally.version")  # modules below `hushtally` itself that the parts may import
SERVERS = {"client_sdk.survey", "client_sdk.mechanisms", "client_sdk.explain", "client_sdk.protocol"}
BASE = {"client_sdk", "aggregator", "collector", *OF_THE_COMMAND, "simulations.errors", "simulations.accuracy",
        "simulations.sampling", "simulations.definition", "simulations.requirements",
        "simulations.preset_answers"}  # fmt: skip
SHARED = BASE | {"simulations.population", "simulations.charts"}
MAY_IMPORT: dict[str, set[str]] = {
    "client_sdk.mechanisms": set(),
    "client_sdk.protocol": set(),
    "client_sdk.survey": {"client_sdk.mechanisms"},
    "client_sdk.explain": {"client_sdk.survey", "client_sdk.mechanisms"},
    "client_sdk.state": {"client_sdk.survey", "client_sdk.mechanisms", "client_sdk.protocol"},
    "client_sdk.delivery": {"client_sdk.state", "client_sdk.survey", "client_sdk.protocol"},
    "client_sdk.device": {
        "client_sdk.delivery", "client_sdk.state", "client_sdk.explain", "client_sdk.survey", "client_sdk.protocol",
    },
    "client_sdk.arguments": {"client_sdk.survey", "client_sdk.delivery", "client_sdk.state"},
    "client_sdk.client": {
        "client_sdk.device", "client_sdk.delivery", "client_sdk.state", "client_sdk.explain", "client_sdk.survey",
        "client_sdk.arguments",
    },
    "client_sdk.gateway": {
        "client_sdk.device", "client_sdk.delivery", "client_sdk.state", "client_sdk.explain", "client_sdk.survey",
        "client_sdk.arguments",
    },
    "client_sdk.async_client": {
        "client_sdk.client", "client_sdk.device", "client_sdk.delivery", "client_sdk.state", "client_sdk.explain",
        "client_sdk.survey", "client_sdk.arguments",
    },
    "client_sdk.fetch": {"client_sdk.delivery", "client_sdk.survey", "client_sdk.arguments"},
    "client_sdk.testing": {"client_sdk.delivery", "client_sdk.protocol", "client_sdk.survey"},
    "hushtally.version": set(),
    "hushtally.output": set(),
    "collector": {"client_sdk.survey", "client_sdk.mechanisms", "client_sdk.protocol", "hushtally.output"},
    "aggregator": SERVERS | {"hushtally.output"},
    "simulations": BASE,
    "simulations.population": BASE,
    "simulations.charts": BASE | {"simulations.population"},
    "simulations.cli": SHARED,
    "simulations.tune": SHARED | {"simulations.cli"},
    "simulations.simulate": SHARED | {"simulations.cli"},
    "simulations.audit": SHARED | {"simulations.cli"},
    "simulations.demo": SHARED | {"simulations.cli", "simulations.tune", "simulations.simulate", "simulations.audit"},
}  # fmt: skip


def modules() -> dict[str, Path]:
    """Every module of the project by its name below `hushtally`."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    for folder in ("", "output", "survey"):
        for path in sorted((ROOT / "hushtally" / folder).glob("*.py" if folder != "survey" else "**/*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def top_level(tree: ast.Module) -> Iterator[ast.stmt]:
    """The statements that run on import: not those under TYPE_CHECKING or inside functions."""
    for node in tree.body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node


@cache
def imported(name: str, *, at_import: bool = False) -> frozenset[str]:
    """The full names of everything that a module imports; `at_import`: only what runs when it is imported."""
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    nodes = top_level(tree) if at_import else ast.walk(tree)
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} uses a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


def ours(name: str, *, at_import: bool = False) -> set[str]:
    """The modules of the project that a module imports, by their names below `hushtally`."""
    found = set()
    for full in imported(name, at_import=at_import):
        short = full if full.startswith(OF_THE_COMMAND) else full.removeprefix("hushtally.")
        while short and short not in MODULES:
            short = short.rpartition(".")[0]
        if full.startswith("hushtally.") and short:
            found.add(short)
    return found - {name}


def folder(name: str) -> str:
    """The unit that a rule names: a folder, or a module that stands alone at the top of its package."""
    parts = name.split(".")
    for length in (2, 1):
        if ".".join(parts[:length]) in MAY_IMPORT:
            return ".".join(parts[:length])
    return name


def tops(name: str) -> set[str]:
    """The outermost packages that a module imports."""
    return {full.partition(".")[0] for full in imported(name)}


def test_each_folder_imports_only_what_its_rule_allows() -> None:
    """Every import points down: mechanisms < survey < state < delivery < device < client."""
    for name in MODULES:
        unit = folder(name)
        if name in LEAVES:
            assert ours(name) <= LEAVES, name
        if unit not in MAY_IMPORT:
            continue
        allowed = MAY_IMPORT[unit]
        for other in ours(name) - LEAVES:
            inside = folder(other) == unit
            permitted = any(other == one or other.startswith(f"{one}.") for one in allowed)
            assert inside or permitted, f"{name} imports {other}"


def test_every_module_of_the_sdk_has_a_rule() -> None:
    """A new file at the top of the SDK is a leaf, or a rule says what it may import."""
    bare = {name for name in MODULES if name.startswith("client_sdk.")} - LEAVES
    assert {name for name in bare if folder(name) == name and name not in MAY_IMPORT} == set()


@pytest.mark.parametrize("part", PURE)
def test_pure_folders_have_no_effects(part: str) -> None:
    """No file, thread, network, database or clock; randomness comes in as an argument."""
    names = [name for name in MODULES if name.startswith(f"client_sdk.{part}")]
    assert names
    for name in names:
        effects = tops(name) & EFFECTS
        if MODULES[name] == ROOT / READS_A_FILE:
            effects -= {"pathlib"}
        assert not effects, f"{name} imports {effects}"
        text = MODULES[name].read_text(encoding="utf-8")
        assert not re.search(r"\b(?:now|today|utcnow)\(|\bopen\(", text), f"{name} reads the clock or a file"


@pytest.mark.parametrize(
    "name",
    [
        *(f"client_sdk.{part}" for part in PURE),
        "client_sdk.protocol.report",
        "client_sdk.explain.explanation",
        "client_sdk.delivery.transport",
        "collector.admission",
    ],
)
def test_importing_a_pure_module_loads_no_effect(name: str) -> None:
    """Nothing that it imports, directly or not, brings a database, a thread or the network along."""
    loaded = loaded_modules(f"hushtally.{name}")
    assert f"hushtally.{name}" in loaded
    assert loaded & (EFFECTS - {"pathlib", "time", "urllib", "warnings", "atexit"}) == set()
    effects = ("state", "device", "client", "delivery.sender", "delivery.http")
    assert not {one for one in loaded if one.startswith(tuple(f"hushtally.client_sdk.{part}" for part in effects))}


def test_importing_the_summary_loads_no_database() -> None:
    """numpy and scipy load threads and sockets themselves; the database stays out all the same."""
    loaded = loaded_modules("hushtally.aggregator.summary")
    assert loaded & {"sqlite3", "hushtally.aggregator.database", "hushtally.aggregator.estimate_cli"} == set()


def loaded_modules(name: str) -> set[str]:
    """What a fresh interpreter has loaded after importing one module."""
    code = f"import sys, json, {name}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.stderr == ""
    return set(json.loads(done.stdout))


def cycle(edges: dict[str, set[str]]) -> list[str]:
    """One circle of a graph, or an empty list."""
    done: set[str] = set()

    def visit(node: str, way: list[str]) -> list[str]:
        if node in way:
            return [*way[way.index(node) :], node]
        if node in done:
            return []
        for other in sorted(edges.get(node, ())):
            if found := visit(other, [*way, node]):
                return found
        done.add(node)
        return []

    for node in sorted(edges):
        if found := visit(node, []):
            return found
    return []


def test_no_module_imports_itself_through_others() -> None:
    edges = {name: ours(name) for name in MODULES if name != "hushtally"}
    assert cycle(edges) == []


def test_no_folder_imports_itself_through_others() -> None:
    edges: dict[str, set[str]] = {}
    for name in MODULES:
        if not name.startswith("hushtally"):
            edges.setdefault(folder(name), set()).update(folder(other) for other in ours(name))
    for unit, others in edges.items():
        others.discard(unit)
    edges["simulations"] = {one for one in edges["simulations"] if not one.startswith("simulations.")}
    assert cycle(edges) == []


@pytest.mark.parametrize(("package", "most"), [("client_sdk", 16), ("collector", 21), ("simulations", 12)])
def test_the_top_of_a_package_fits_on_a_screen(package: str, most: int) -> None:
    assert len(list((ROOT / package).glob("*.py"))) <= most


def test_randomness_comes_in_by_argument() -> None:
    """Only the module for tests of apps can seed a generator: nothing on a device can be seeded."""
    callers = {name for name in MODULES if name.startswith("client_sdk") and tops(name) & {"random", "secrets"}}
    assert callers <= {"client_sdk.testing"}


def test_every_output_of_the_command_goes_through_one_folder() -> None:
    """Only there are names escaped, files replaced as a whole, and JSON and CSV written in UTF-8."""
    elsewhere = re.compile(r"click\.echo\(|\bprint\(|\.write_(?:text|bytes)\(|\bopen\([^)]*[\"'][wxa]b?[\"']")
    command = [name for name in MODULES if not name.startswith(("client_sdk", "hushtally.output"))]
    other = re.compile(r"\.print\(|(>>>|\.\.\.) .*")  # a table on rich's console, and the example of a docstring
    found = {name for name in command if elsewhere.search(other.sub("", MODULES[name].read_text("utf-8")))}
    assert found == {"collector.database_file"}  # it creates the database


def test_the_formula_of_the_channel_stands_in_one_place() -> None:
    """p - q, the debiasing, is written once for the client, the aggregator, the simulations and the command."""
    formula = re.compile(r"\bp\s*-\s*(?:\w+\.)*q\b")
    found = {name for name, path in MODULES.items() if formula.search(path.read_text("utf-8"))}
    assert found == {"client_sdk.mechanisms.channel"}
