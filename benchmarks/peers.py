"""Compares hushtally with pure-ldp and multi-freq-ldpy, and our RAPPOR decoder with the original decoder, in one run.

Run it after `pip install -e '.[all]' --group bench`. It prints a table of all mechanisms and a list of targets. Without
--quick it takes six to ten minutes on two cores, writes peers.json and accuracy.svg into the output directory (default:
benchmarks/results), and writes the figures into benchmarks/README.md. With --quick it writes files only if --output is
given. benchmarks/README.md describes what is measured.
"""

from __future__ import annotations

import json
import os
import platform
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any

import click
import numpy as np
import peer_rappor
import peer_results
from peer_mechanisms import MANY, PEERS, Contestant, Ours, contestants, true_value_first
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from hushtally.client_sdk.clock import utc_today

HERE = Path(__file__).resolve().parent
SEED = 20_260_700
EPSILONS = (0.5, 1.0, 2.0, 4.0)
# d: (respondents, surveys). The error times n does not depend on n, so many small surveys measure it fastest. These
# sizes measure it within 2 to 3%. hushtally is fast, so its surveys are repeated OURS times as often.
SIZES = {16: (100, 250), 64: (200, 60), 1024: (1000, 4)}
OURS = 5
QUICK_EPSILONS = (1.0,)
QUICK_SIZES = {4: (20, 40), 16: (40, 20)}
SHOWN = ("hushtally", *PEERS, "numpy", "scipy", "numba", "xxhash")

Array = Any


def population(kind: str, d: int, n: int) -> list[int]:
    """n values whose shares are as close to Zipf shares (1 / rank) or to equal shares as whole respondents allow."""
    shares = 1 / np.arange(1, d + 1) if kind == "zipf" else np.ones(d)
    wanted = shares / shares.sum() * n
    counts = np.floor(wanted).astype(int)
    counts[np.argsort(counts - wanted, kind="stable")[: n - counts.sum()]] += 1
    return [int(value) for value in np.repeat(np.arange(d), counts)]


def measured(one: Contestant, kind: str, n: int, surveys: int) -> tuple[dict[str, float], list[int], list[Any]]:
    """Exact and measured n x mean squared error with its standard error; the values and the reports of all surveys."""
    values = population(kind, one.d, n)
    truth = np.bincount(values, minlength=one.d) / n
    reports = [[one.privatise(value) for value in values] for _ in range(surveys)]
    squares = n * np.array([(one.shares(survey) - truth) ** 2 for survey in reports])
    # The squared errors of the values of one survey are almost independent.
    error = squares.std(ddof=1) / np.sqrt(squares.size)
    figures = {"exact": one.exact(truth, n), "measured": float(squares.mean()), "standard_error": float(error)}
    return figures, values * surveys, [report for survey in reports for report in survey]


def row(one: Contestant, epsilon: float, n: int, surveys: int, many: int) -> dict[str, Any]:
    """All figures of one mechanism for one number of values and one epsilon."""
    if isinstance(one, Ours):
        surveys *= OURS
    one.shares([one.privatise(0)])  # the first use compiles and builds tables
    found: dict[str, dict[str, float]] = {"exact": {}, "measured": {}, "standard_error": {}}
    for kind in peer_results.POPULATIONS:
        figures, values, reports = measured(one, kind, n, surveys)
        for name, figure in figures.items():
            found[name][kind] = figure
        if kind == "zipf":
            truth = np.bincount(values, minlength=one.d) / len(values)
            named_first = true_value_first(one, values, reports)
            times = _times(one, values, reports, n, many)
    return {
        "d": one.d,
        "epsilon": epsilon,
        "package": one.package,
        "mechanism": one.name,
        **found,
        "exact_many": one.exact(truth, MANY),
        **times,
        "named_first": named_first,
    }


def _times(one: Contestant, values: list[int], reports: list[Any], n: int, many: int) -> dict[str, float]:
    """Microseconds per report: of hushtally for `many` reports, of slower servers for fewer reports."""
    if isinstance(one, Ours):
        reports = [one.privatise(value) for value in (values * (many // len(values) + 1))[:many]]
        server = min(one.server_seconds(reports) for _ in range(3))
    else:
        begin = perf_counter()
        server = one.server_seconds(reports[:n])
        if perf_counter() - begin < 0.1:
            server = min(one.server_seconds(reports) for _ in range(2))
    client = min(one.client_seconds(values[:1000]) for _ in range(3))
    return {"client_us": client * 1e6, "server_us": server * 1e6}


def cells(quick: bool) -> Iterator[tuple[int, float, int, int]]:
    for d, (n, surveys) in (QUICK_SIZES if quick else SIZES).items():
        for epsilon in QUICK_EPSILONS if quick else EPSILONS:
            yield d, epsilon, n, surveys


def run(quick: bool) -> dict[str, Any]:
    """The results, with a progress bar on stderr."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the peers warn about high privacy
        todo = list(cells(quick))
        at_mechanisms = bar.add_task("mechanisms", total=len(todo))
        at_rappor = bar.add_task("rappor", total=peer_rappor.surveys(quick))
        rows = []
        for number, (d, epsilon, n, surveys) in enumerate(todo):
            for one in contestants(epsilon, d, SEED + number):
                bar.update(at_mechanisms, description=f"d = {d}, epsilon {epsilon:g}: {one.package} {one.name}")
                rows.append(row(one, epsilon, n, surveys, MANY // 100 if quick else MANY))
            bar.advance(at_mechanisms)
        rappor = peer_rappor.measure(quick, SEED, lambda: bar.advance(at_rappor))
    return {
        "date": utc_today().isoformat(),
        "command": "python benchmarks/peers.py" + " --quick" * quick,
        "machine": {"cores": os.cpu_count(), "cpu": _cpu(), "python": platform.python_version()},
        "versions": {name: version(name) for name in SHOWN},
        "seed": SEED,
        "surveys": {str(d): {"respondents": n, "surveys": surveys} for d, _, n, surveys in todo},
        "rows": rows,
        "rappor": rappor,
    }


def _cpu() -> str:
    """The model of the processor, if the system states it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def show(results: dict[str, Any]) -> None:
    """The table and the targets, on stdout."""
    table = Table(title="n × mean squared error of raw estimates, and microseconds per report")
    for name in ("d", "epsilon", "package", "mechanism", "exact", "zipf", "uniform", "ours / this", "client", "server"):
        table.add_column(name, justify="left" if name in ("package", "mechanism") else "right", no_wrap=True)
    for d, epsilon, ours, peers in peer_results.cells(results):
        for one in (ours, *peers):
            seen = [f"{one['measured'][k]:.4g} ± {one['standard_error'][k]:.2g}" for k in peer_results.POPULATIONS]
            table.add_row(
                f"{d:,}",
                f"{epsilon:g}",
                one["package"],
                one["mechanism"] + "*" * (not peer_results.keeps_epsilon(one)),
                f"{one['exact']['zipf']:.4g}",
                *seen,
                f"{ours['exact']['zipf'] / one['exact']['zipf']:.4f}",
                f"{one['client_us']:.2f}",
                f"{one['server_us']:,.2f}",
            )
        table.add_section()
    console = Console(width=150)
    console.print(table)
    if not all(peer_results.keeps_epsilon(one) for one in results["rows"]):
        console.print("* A report with the true value lists this value first, so the report satisfies no epsilon.\n")
    verdicts = Table(title="targets")
    for name in ("what", "required", "result", "met"):
        verdicts.add_column(name)
    for target in peer_results.targets(results):
        verdicts.add_row(*(target[name] for name in ("what", "required", "found")), peer_results.verdict(target))
    console.print(verdicts)


def write(results: dict[str, Any], directory: Path, readme: Path | None) -> None:
    """Writes peers.json, accuracy.svg, and the block of the README between its two markers."""
    directory.mkdir(parents=True, exist_ok=True)
    results = results | {"targets": peer_results.targets(results)}
    (directory / "peers.json").write_text(json.dumps(results, indent=1) + "\n")
    (directory / "accuracy.svg").write_text(peer_results.picture(results))
    if readme:
        before, _, rest = readme.read_text().partition(peer_results.BEGIN)
        after = rest.partition(peer_results.END)[2]
        readme.write_text(before + peer_results.markdown(results) + after)


@click.command(help=__doc__)
@click.option("--quick", is_flag=True, help="Use tiny sizes, to check that the benchmark runs.")
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), help="Directory for the results.")
def main(quick: bool, output: Path | None) -> None:
    missing = [name for name, module in PEERS.items() if find_spec(module) is None]
    if missing:
        raise click.ClickException(f"{' and '.join(missing)} not installed; run: pip install -e '.[all]' --group bench")
    results = run(quick)
    show(results)
    if output or not quick:
        write(results, output or HERE / "results", None if quick or output else HERE / "README.md")


if __name__ == "__main__":
    main()
