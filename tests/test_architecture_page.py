"""ARCHITECTURE.md says what the code says: the files, the import rules, and every column of the two databases."""

from __future__ import annotations

import re
import runpy
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from functools import cache
from pathlib import Path

import pytest

from hushtally import Client, Survey
from hushtally.collector.app import create_app
from hushtally.testing import Recorder

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
NAME = re.compile(r"`([^`\n]+)`")


def section(heading: str) -> str:
    """The text from a heading to the next heading of the same or a higher level."""
    level = heading.partition(" ")[0]
    begin = PAGE.index(f"\n{heading}\n")
    end = re.compile(rf"^#{{1,{len(level)}}} ", re.MULTILINE).search(PAGE, begin + len(heading) + 2)
    return PAGE[begin : end.start() if end else len(PAGE)]


def rows(text: str) -> Iterator[list[str]]:
    """The rows of the tables in a text, without their headings."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and not cells[0].startswith("---") and "`" in line:
            yield cells


@cache
def rules() -> dict[str, object]:
    """The constants of the test that enforces the import rules."""
    return runpy.run_path(str(ROOT / "tests" / "test_architecture.py"))


def documented_files() -> list[str]:
    """The path of every file that the section on folders names."""
    found = []
    part = folder = ""
    for line in section("## Folders").splitlines():
        if match := re.match(r"### ([a-z_]+):", line):
            part = folder = match[1]
        elif match := re.match(r"#### ([a-z_/]+) ", line):
            folder = match[1]
        elif line.startswith("### "):
            part = ""
        elif part and (match := re.match(r"\| `([\w/]+\.(?:py|toml))` \|", line)):
            found.append(f"{folder}/{match[1]}")
    return found


def test_every_source_file_is_described_once() -> None:
    """A new file gets its line on the page, and a deleted file loses it. An empty `__init__.py` needs no line."""
    parts = ("client_sdk", "collector", "aggregator", "simulations", "hushtally")
    files = {str(path.relative_to(ROOT)) for part in parts[:-1] for path in (ROOT / part).rglob("*.py")}
    files |= {str(path.relative_to(ROOT)) for path in (ROOT / "hushtally").glob("*.py")}
    for folder in ("output", "survey"):
        files |= {str(path.relative_to(ROOT)) for path in (ROOT / "hushtally" / folder).rglob("*.py")}
    wanted = {name for name in files if not name.endswith("__init__.py")}
    wanted |= {str(path.relative_to(ROOT)) for path in (ROOT / "hushtally" / "survey" / "templates").glob("*.toml")}
    wanted |= {"hushtally/__init__.py"}
    found = documented_files()
    assert sorted(set(found)) == sorted(found)
    assert wanted - set(found) == set(), "files without a line in ARCHITECTURE.md"
    assert set(found) - wanted == set(), "lines of ARCHITECTURE.md without a file"


def test_every_path_on_the_page_exists() -> None:
    """The paths in the prose and in the section "Where to find what"."""
    short = {path.partition("/")[2] for path in documented_files()}  # such as `tune/command.py`, inside a part
    paths = {name for name in NAME.findall(PAGE) if re.fullmatch(r"\w[\w.-]*/[\w./-]*", name)} - short
    assert len(paths) > 50
    assert {path for path in paths if not (ROOT / path).exists()} == set()


def test_the_page_answers_enough_questions() -> None:
    """A newcomer finds the file for a task without reading the code."""
    tasks = list(rows(section("## Where to find what")))
    assert len(tasks) >= 25
    assert all(NAME.search(where) for _, where in tasks)
    assert len({task for task, _ in tasks}) == len(tasks)


def test_the_import_rules_are_those_that_the_tests_enforce() -> None:
    """Both tables, folder by folder."""
    stated: dict[str, set[str]] = {}
    for name, allowed in rows(section("## Import rules")):
        names = NAME.findall(allowed)
        same = re.match(r"the same as `([^`]+)`", allowed)
        stated[NAME.findall(name)[0]] = {*names[1:], *stated[same[1]]} if same else set(names)
    assert stated == rules()["MAY_IMPORT"]


def test_the_leaves_are_those_that_the_tests_enforce() -> None:
    prose = section("## Import rules").partition("\n|")[0]
    assert {name for name in NAME.findall(prose) if name != "hushtally"} == rules()["LEAVES"]


def test_the_pure_folders_are_those_that_the_tests_enforce() -> None:
    [prose] = [line for line in section("## Import rules").splitlines() if line.startswith("The pure folders are")]
    assert NAME.findall(prose) == [f"client_sdk.{name}" for name in rules()["PURE"]]  # type: ignore[attr-defined]
    for name in rules()["PURE"]:  # type: ignore[attr-defined]
        assert re.search(rf"^#### client_sdk/{name} \(pure\)", PAGE, re.MULTILINE)


def documented_columns(heading: str) -> dict[str, list[str]]:
    """The columns of every table that a section describes."""
    found: dict[str, list[str]] = {}
    table = ""
    for name, column, meaning in rows(section(heading)):
        table = name.strip("`") or table
        assert meaning
        found.setdefault(table, []).append(column.strip("`"))
    return found


def columns(path: Path) -> dict[str, list[str]]:
    """The columns of every table of a database."""
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        return {
            name: [column for _, column, *_ in connection.execute(f"PRAGMA table_info({name})")]
            for (name,) in tables
            if not name.startswith("sqlite_")
        }


@pytest.fixture
def survey() -> Survey:
    """The example survey."""
    return Survey.load(ROOT / "hushtally" / "survey" / "templates" / "shop.toml")


def test_every_column_of_a_state_file_is_described(tmp_path: Path, survey: Survey) -> None:
    """Each table and each column, in the order of the schema."""
    path = tmp_path / "state.db"
    where = {"collector": "https://tally.example", "state": path, "cohort": {"platform": "web"}}
    with Client(survey, transport=Recorder(), **where):  # type: ignore[arg-type]
        pass
    assert documented_columns("### The state file of a device") == columns(path)


def test_every_column_of_a_collectors_database_is_described(tmp_path: Path, survey: Survey) -> None:
    """Each table and each column, in the order of the schema."""
    path = tmp_path / "hushtally.db"
    app = create_app([survey], path, clock=lambda: date(2026, 12, 1))
    app.extensions["hushtally"].close()
    assert documented_columns("### The database of a collector") == columns(path)
