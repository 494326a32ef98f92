"""The table of coverages says what the results file says, and the targets are met."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("coverage_benchmark", FOLDER / "coverage.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
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
