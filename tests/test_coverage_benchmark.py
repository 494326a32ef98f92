"""The table of coverages says what the results file says, and the targets are met."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from page_text import read, table

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("coverage_benchmark", FOLDER / "coverage.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


ROWS = json.loads((FOLDER / "results" / "coverage.json").read_text())


def test_the_table_is_made_of_the_results(benchmark: ModuleType) -> None:
    assert benchmark.markdown(ROWS) == (FOLDER / "results" / "coverage.md").read_text()
    assert {row["statistic"] for row in ROWS} == set(benchmark.STATISTICS)


@pytest.mark.parametrize(
    ("statistic", "name", "least", "most"),
    [
        ("linear", "difference", 0.94, 0.965),
        ("linear", "sum", 0.94, 0.965),
        ("rate", "rate, true SNR >= 4", 0.94, 0.965),
        ("rate", "difference", 0.94, 0.965),
        ("epochs", "trend", 0.94, 1),
        ("epochs", "mean of 12 weeks", 0.94, 1),
        ("epochs", "no false alarm of any segment", 0.95, 1),
        ("pool", "weighted by customers", 0.94, 0.965),
        ("rank", "all differences", 0.94, 0.96),
        ("rank", "all ranks", 0.94, 1),
        ("rank", "the largest", 0.94, 1),
        ("lift", "lift, published", 0.935, 1),
        ("number", "mean", 0.94, 1),
        ("number", "quantile 0.5", 0.94, 1),
        ("number", "quantile 0.9", 0.94, 1),
        ("looks", "always valid, on all of 14 days", 0.95, 1),
        ("smooth", "last week", 0.94, 1),
    ],
)
def test_the_measured_coverage_meets_its_target(statistic: str, name: str, least: float, most: float) -> None:
    """The mean over all cells; a single cell is known to about .01 only."""
    means = [row["mean"] for row in ROWS if (row["statistic"], row["name"]) == (statistic, name)]
    assert least <= sum(means) / len(means) <= most


QUOTED = {
    "difference of two segments (`linear`)": ("linear", "difference"),
    "rate inside a segment of at least 4 standard errors": ("rate", "rate, true SNR >= 4"),
    "difference of two rates": ("rate", "difference"),
    "ratio of two rates": ("rate", "ratio"),
    "change between neighbouring weeks": ("epochs", "change, neighbouring weeks"),
    "trend over 12 weeks": ("epochs", "trend"),
    "no segment of an unchanged crowd is called changing": ("epochs", "no false alarm of any segment"),
    "groups weighted by customers": ("pool", "weighted by customers"),
    "lift, published": ("lift", "lift, published"),
    "smoothed share of the last week, with a true declaration": ("smooth", "last week"),
    "mean of a number": ("number", "mean"),
    "median of a number": ("number", "quantile 0.5"),
    "always valid, on all of 14 days": ("looks", "always valid, on all of 14 days"),
}


def test_the_page_quotes_the_results() -> None:
    stated = table(read("docs/explanation/statistics.md"), "| figure |")
    assert {figure for figure, *_ in stated} == set(QUOTED)
    for figure, *coverages in stated:
        means = [row["mean"] for row in ROWS if (row["statistic"], row["name"]) == QUOTED[figure]]
        assert coverages == [f"{value:.3f}" for value in (sum(means) / len(means), min(means), max(means))]
