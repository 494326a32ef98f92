"""How long the aggregator takes to compute support counts, compared with the mechanism's own `supports`.

Each tally has 10^6 reports with uniformly random symbols, so that as many different symbols as possible occur.
"""

from __future__ import annotations

import argparse
import platform
import time
import tracemalloc
from collections.abc import Callable
from functools import partial

import numpy as np
from rich.console import Console
from rich.table import Table

from hushtally.aggregator.support import support_counts
from hushtally.aggregator.tally import Tally
from hushtally.client_sdk.mechanisms import Mechanism, choose

REPORTS = 10**6
TARGETS = {(64, 0): 0.002, (1024, 0): 0.080, (16_384, 0): 0.060, (16_384, 4): 2.0}  # (domain, from epsilon): seconds
CELLS = [(domain, epsilon) for domain in (16, 64, 1024, 16_384) for epsilon in (0.25, 0.5, 1.0, 2.0, 4.0, 6.0)]
CALLS = 20_000  # of `supports`: the slow path is timed on this many calls and scaled up


def fastest(call: Callable[[], object], times: int = 5) -> float:
    """Seconds of the fastest of several calls."""
    found = []
    for _ in range(times):
        begin = time.perf_counter()
        call()
        found.append(time.perf_counter() - begin)
    return min(found)


def peak_bytes(call: Callable[[], object]) -> int:
    """The peak memory of a call in bytes."""
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def slow_seconds(mechanism: Mechanism, tally: Tally) -> float:
    """Estimated seconds to call `supports` for every symbol of the tally and every value."""
    symbols = tally.symbols[:: max(tally.symbols.size * mechanism.domain // CALLS, 1)].tolist()
    values = range(0, mechanism.domain, max(len(symbols) * mechanism.domain // CALLS, 1))
    took = fastest(lambda: [mechanism.supports(symbol, value) for symbol in symbols for value in values], 1)
    return took / (len(symbols) * len(values)) * tally.symbols.size * mechanism.domain


def target_seconds(domain: int, epsilon: float) -> float | None:
    """The target in seconds; None if there is no target."""
    if epsilon > 4:
        return None
    return TARGETS.get((domain, 4 if domain > 1024 and epsilon > 2 else 0))


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    rng = np.random.default_rng(1)
    table = Table(
        title=f"decoding a tally of {REPORTS:,} reports; Python {platform.python_version()}, numpy {np.__version__}"
    )
    for name in (
        "d",
        "epsilon",
        "mechanism",
        "symbols",
        "milliseconds",
        "target",
        "met",
        "peak MB",
        "slow path, seconds",
        "ratio",
    ):
        table.add_column(name, justify="left" if name == "mechanism" else "right")
    for domain, epsilon in CELLS:
        mechanism = choose(domain, epsilon)
        tally = Tally.of(rng.integers(0, mechanism.symbols, REPORTS))
        took = fastest(partial(support_counts, mechanism, tally))
        slow = slow_seconds(mechanism, tally)
        allowed = target_seconds(domain, epsilon)
        table.add_row(
            f"{domain:,}",
            f"{epsilon:g}",
            mechanism.label,
            f"{mechanism.symbols:,}",
            f"{took * 1e3:.2f}",
            f"{allowed * 1e3:.0f}" if allowed else "",
            ("yes" if took <= allowed else "NO") if allowed else "",
            f"{peak_bytes(partial(support_counts, mechanism, tally)) / 1e6:.1f}",
            f"{slow:,.3g}",
            f"{slow / took:,.0f}",
        )
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
