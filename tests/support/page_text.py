"""The text and the tables of the documentation pages, and the example customers of the page on estimates."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def read(name: str) -> str:
    """The text of a page; name: its path from the root of the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def prose(name: str) -> str:
    """The text of a page, joined into one line."""
    return " ".join(read(name).split())


def table(page: str, beginning: str) -> list[list[str]]:
    """The cells of the first table after the string `beginning`, row by row, without the header."""
    rows = re.search(r"^\|.*\|\n\|[-:| ]+\|\n((?:\|.*\|\n)+)", page[page.index(beginning) :], re.MULTILINE)
    assert rows is not None
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[1].splitlines()]


def load(file: Path) -> Any:
    """Import a Python file of the documentation."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module  # a dataclass looks up its module
    spec.loader.exec_module(module)
    return module


def customers() -> dict[tuple[str, str], tuple[int, ...]]:
    """The number of customers in each segment of `frequency` on the page on estimates, by week and platform."""
    found: dict[tuple[str, str], tuple[int, ...]] = load(DOCS / "_setup" / "two_weeks.py").CUSTOMERS
    return found
