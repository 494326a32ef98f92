"""How often the intervals of every statistic contain the truth, on tables whose truth is known exactly.

    python benchmarks/coverage.py                       # every statistic; about half an hour on two cores
    python benchmarks/coverage.py rate trend            # these
    python benchmarks/coverage.py --repetitions 20      # seconds; checks that the benchmark runs

Tables: the customers of the demo's purchase log (CDNOW), and Zipf shares over 16 segments. Every cell is one table,
one of four epsilons, one of three numbers of reports, and one memory; each is drawn `--repetitions` times with a fixed
seed. The results are written to benchmarks/results/coverage.json and coverage.md.
"""

from __future__ import annotations

import argparse
import json
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np

from hushtally.aggregator.errors import NotEstimableError
from hushtally.aggregator.estimate import estimate
from hushtally.aggregator.statistics.epoch_shares import EpochShares
from hushtally.aggregator.statistics.lift import lifts
from hushtally.aggregator.statistics.linear import linear
from hushtally.aggregator.statistics.number import Ranges, mean, quantile
from hushtally.aggregator.statistics.pooling import pool_groups
from hushtally.aggregator.statistics.ranking import ranking
from hushtally.aggregator.statistics.rate import RateComparison, rates
from hushtally.aggregator.statistics.sequence import confidence_sequence
from hushtally.aggregator.statistics.smoothing import refutes, smooth_epoch
from hushtally.aggregator.statistics.trend import Trend
from hushtally.aggregator.tally import Tally
from hushtally.client_sdk.mechanisms import Mechanism, Permanent, build
from hushtally.simulations.demo.purchases import load_customers, true_shares
from hushtally.simulations.sampling import draw_symbols, draw_tally
from hushtally.simulations.simulate.permanent_memory import PermanentMemory

RESULTS = Path(__file__).parent / "results" / "coverage.json"
EPSILONS = (0.5, 1.0, 2.0, 4.0)
REPORTS = (500, 5_000, 50_000)
MEMORIES = ("fresh", "permanent")
FREQUENCIES = ("1", "2", "3-4", "5-9", "10-or-more")


@dataclass(frozen=True)
class World:
    """One cell of the benchmark. truth: the true shares; rows, columns: the shape of a crossed table, or None."""

    table: str
    truth: np.ndarray
    shape: tuple[int, int] | None
    epsilon: float
    n: int
    memory: str
    mechanism: Mechanism
    random: np.random.Generator

    def tally(self):
        """The reports of n customers drawn from the table."""
        return draw_tally(self.mechanism, self.random.multinomial(self.n, self.truth), self.random)


def tables() -> dict[str, tuple[np.ndarray, tuple[int, int] | None]]:
    """Every table: its true shares, and the shape of a cross."""
    customers = load_customers()
    found = {}
    spend = true_shares(customers, "spend")
    found["CDNOW spend"] = (np.array(list(spend.values())), None)
    joint = true_shares(customers, "early_frequency_x_came_back")
    cells = [joint.get(f"{times} & {late}", 0.0) for times in FREQUENCIES for late in ("yes", "no")]
    found["CDNOW frequency x came back"] = (np.array(cells), (5, 2))
    zipf = 1 / np.arange(1, 17)
    found["Zipf 16"] = (zipf / zipf.sum(), None)
    return found


def worlds(statistic: str) -> Iterator[World]:
    """All cells, each with its own fixed seed."""
    for name, (truth, shape) in tables().items():
        for memory in MEMORIES:
            for epsilon in EPSILONS:
                permanent = 2 * epsilon if memory == "permanent" else None
                mechanism = build("auto", {}, truth.size, epsilon, permanent)
                for n in REPORTS:
                    seed = zlib.crc32(f"{statistic} {name} {memory} {epsilon} {n}".encode())
                    yield World(name, truth, shape, epsilon, n, memory, mechanism, np.random.default_rng(seed))


Measure = Callable[[World], dict[str, np.ndarray] | None]  # which intervals of one draw contain the truth, by name


def covers(interval, truth) -> np.ndarray:
    """Whether each interval contains its truth."""
    return np.atleast_1d((interval[0] <= truth) & (truth <= interval[1]))


def measure_linear(world: World):
    """Differences of neighbouring segments, and cumulative sums of segments."""
    d = world.truth.size
    differences = np.eye(d)[:-1] - np.eye(d)[1:]
    sums = np.tril(np.ones((d, d)))[: d - 1]
    tally = world.tally()
    found = {}
    for name, weights in (("difference", differences), ("sum", sums)):
        interval = linear(world.mechanism, tally, weights).confidence_interval(0.95)
        found[name] = covers(interval, weights @ world.truth)
    return found


def measure_rate(world: World):
    """Rates, differences and ratios of neighbouring segments; only where the true share is 4 standard errors or more.

    "published" counts only what is published, because the estimated share is 4 standard errors or more.
    """
    if world.shape is None:
        return None
    segments, outcomes = world.shape
    cells = np.arange(world.truth.size).reshape(segments, outcomes)
    yes, no = cells[:, :1].tolist(), cells[:, 1:].tolist()
    truth = world.truth.reshape(segments, outcomes)
    rate, share = truth[:, 0] / truth.sum(axis=1), truth.sum(axis=1)
    found = rates(world.mechanism, world.tally(), yes, no)
    every = replace(found, total=found.total)
    object.__setattr__(every, "signal_to_noise", np.full(segments, 99.0))  # the interval without the gate
    clear = share / (found.total / found.signal_to_noise) >= 4
    inside = covers(every.confidence_interval(), rate)
    result = {
        "rate, true SNR >= 4": np.where(clear, inside, np.nan),
        "rate, published": np.where(found.estimable, inside, np.nan),
        "published and wrong": np.where(found.estimable, ~inside, 0.0),
    }
    differences, ratios = [], []
    for first, second in pairwise(range(segments)):
        both = RateComparison(every, first, every, second)
        visible = clear[first] and clear[second]
        low, high = both.difference_interval()
        differences.append(low <= rate[first] - rate[second] <= high if visible else np.nan)
        low, high = both.ratio_interval()
        ratios.append(low <= rate[first] / rate[second] <= high if visible else np.nan)
    return result | {"difference": np.array(differences, float), "ratio": np.array(ratios, float)}


@dataclass(frozen=True)
class Weeks:
    """One cell of the benchmark over 12 weeks of the purchase log. values: the segment of every customer in each week.

    A panel of n customers answers in every `answers_every`-th week. The table names the number of panels.
    """

    table: str
    values: np.ndarray
    epsilon: float
    n: int
    memory: str
    mechanism: Mechanism
    answers_every: int
    random: np.random.Generator

    @property
    def truth(self) -> np.ndarray:
        """The true shares of all customers; shape (weeks, segments)."""
        return np.array([np.bincount(week, minlength=4) / week.size for week in self.values.T])

    def tallies(self) -> dict[int, Tally]:
        """The reports of every week; the customers of a panel are drawn once."""
        panels = self.random.integers(len(self.values), size=(self.answers_every, self.n))
        memory, everyone = None, np.arange(self.n)
        if isinstance(self.mechanism, Permanent):
            memory = [PermanentMemory(self.mechanism, self.n, 3) for _ in range(self.answers_every)]
        found = {}
        for week in range(self.values.shape[1]):
            panel = week % self.answers_every
            held = self.values[panels[panel], week]
            if memory:
                symbols = memory[panel].answer(everyone, held, self.random)
            else:
                symbols = draw_symbols(self.mechanism, held, self.random)
            found[week] = Tally.of(symbols)
        return found


def customer_weeks(first: int = 20, weeks: int = 12) -> np.ndarray:
    """The purchases of every customer in the 12 weeks before each week, at most 3; shape (customers, weeks)."""
    start = date(1997, 1, 1)
    found = np.zeros((23_570, weeks), dtype=np.int64)
    for row, customer in zip(found, load_customers(), strict=True):
        days = np.array([(day - start).days for day, _ in customer.purchases])
        for week in range(weeks):
            end = 7 * (first + week)
            row[week] = min(int(((days >= end - 84) & (days < end)).sum()), 3)
    return found


def weeks(statistic: str) -> Iterator[Weeks]:
    """All cells over the weeks: four panels, one panel that answers weekly, and a crowd that never changes."""
    values = customer_weeks()
    unchanged = np.repeat(values[:, :1], values.shape[1], axis=1)
    for name, each, every in (("4 panels", values, 4), ("1 panel", values, 1), ("unchanged, 4 panels", unchanged, 4)):
        for memory in MEMORIES:
            for epsilon in EPSILONS:
                mechanism = build("auto", {}, 4, epsilon, 2 * epsilon if memory == "permanent" else None)
                for n in REPORTS[:2]:
                    seed = zlib.crc32(f"{statistic} {name} {memory} {epsilon} {n}".encode())
                    random = np.random.default_rng(seed)
                    yield Weeks(f"CDNOW weeks, {name}", each, epsilon, n, memory, mechanism, every, random)


def measure_epochs(world: Weeks):
    """Changes after one week, after four weeks and between two halves, the trend, and false alarms of the test."""
    truth = world.truth
    shares = EpochShares.of(world.mechanism, world.tallies(), world.answers_every)
    count = len(truth)
    found = {}
    for name, first, last in (
        ("change, neighbouring weeks", [4], [5]),
        ("change, 4 weeks apart", [4], [8]),
        ("change between halves", range(6), range(6, 12)),
    ):
        weights = np.zeros(count)
        weights[list(last)], weights[list(first)] = 1 / len(last), -1 / len(first)
        found[name] = covers(shares.interval(weights), weights @ truth)
    trend = Trend(shares)
    found["trend"] = covers(trend.confidence_interval(), trend.coefficients @ truth)
    mean = np.full(count, 1 / count)
    found["mean of 12 weeks"] = covers(shares.interval(mean), mean @ truth)
    if "unchanged" in world.table:
        quiet = 1 - 0.95 ** (1 / 4)
        found["no false alarm of any segment"] = np.array([trend.p_value.min() >= quiet])
        found["no false alarm of a segment"] = trend.p_value >= 0.05
    return found


def measure_pool(world: World):
    """Three groups with different shares: 85, 13 and 2% of the reports, 40, 35 and 25% of the customers."""
    if world.n < 5_000:
        return None
    truths = [np.roll(world.truth, shift) for shift in range(3)]
    sizes = (np.array([0.85, 0.13, 0.02]) * world.n).astype(int)
    tallies = [
        draw_tally(world.mechanism, world.random.multinomial(size, truth), world.random)
        for size, truth in zip(sizes, truths, strict=True)
    ]
    customers = np.array([0.4, 0.35, 0.25])
    interval = pool_groups(world.mechanism, tallies, customers.tolist()).confidence_interval()
    return {"weighted by customers": covers(interval, customers @ np.array(truths))}


def measure_lift(world: World):
    """Lifts of every cell whose margins are truly 4 standard errors or more, and of those that are published."""
    if world.shape is None:
        return None
    truth = world.truth.reshape(world.shape)
    expected = np.outer(truth.sum(axis=1), truth.sum(axis=0))
    cells = np.arange(world.truth.size).reshape(*world.shape, 1).tolist()
    found = lifts(world.mechanism, world.tally(), cells)
    sizes = [truth.sum(axis=1)[:, None], truth.sum(axis=0)[None, :]]
    clear = np.logical_and(*(size >= 4 * found.covariance[..., k, k] ** 0.5 for k, size in enumerate(sizes, 1)))
    inside = covers(found.confidence_interval(), truth / expected).reshape(world.shape)
    shown = np.isfinite(found.confidence_interval().low)
    return {
        "lift, true SNR >= 4": np.where(clear & shown, inside, np.nan).ravel(),
        "lift, published": np.where(shown, inside, np.nan).ravel(),
    }


def measure_rank(world: World):
    """All ranks at once, all differences at once, the set with the largest, and the top 3; and the size of that set.

    "size of ..." is the share of segments in the set that contains the largest, and by intervals that do not touch.
    """
    tally, truth = world.tally(), world.truth
    found = ranking(world.mechanism, tally)
    low, high = found.confidence_interval()
    above = (truth[:, None] < truth).sum(axis=1)
    ties = (truth[:, None] == truth).sum(axis=1)
    largest = found.may_be_largest()
    below, over = found.difference_interval()
    differences = truth[:, None] - truth
    surely, possibly = found.top(3)
    true_top = above < 3
    together = estimate(world.mechanism, tally)
    touching = together.simultaneous_high >= together.simultaneous_low.max()
    return {
        "all ranks": np.array([((low <= above + ties) & (above + 1 <= high)).all()]),
        "all differences": np.array([((below <= differences) & (differences <= over)).all()]),
        "the largest": np.array([largest[truth.argmax()]]),
        "top 3 surely": np.array([not (surely & ~true_top).any()]),
        "top 3 maybe": np.array([possibly[true_top].all()]),
        "size of the set": np.array([largest.mean()]),
        "size by touching intervals": np.array([touching.mean()]),
    }


def measure_smooth(world: Weeks):
    """Smoothed shares in the last week and in the sixth, with the largest true change as the declaration."""
    truth = world.truth
    most = float(np.abs(np.diff(truth, axis=0)).max())
    shares = EpochShares.of(world.mechanism, world.tallies(), world.answers_every)
    refuted = refutes(shares, most)
    found = {"not refuted": ~refuted}
    for name, target in (("last week", 11), ("sixth week", 5)):
        low, high = smooth_epoch(shares, target, most, refuted).confidence_interval()
        alone = shares.interval(np.eye(12)[target])
        found[name] = covers((low, high), truth[target])
        found[f"{name}, length / epoch alone"] = (high - low) / (alone.high - alone.low)
    return found


def measure_looks(world: World):
    """Whether all intervals of 14 days contain the truth: single ones, and those of the confidence sequence."""
    tally, days = Tally.of({}), 14
    single, sequence = np.ones(world.truth.size, bool), np.ones(world.truth.size, bool)
    for _ in range(days):
        held = world.random.multinomial(world.n // days, world.truth)
        tally = tally + draw_tally(world.mechanism, held, world.random)
        found = estimate(world.mechanism, tally)
        single &= covers((found.low, found.high), world.truth)
        always = confidence_sequence(world.mechanism, tally).confidence_interval()
        sequence &= covers(always, world.truth)
    return {
        "single, on all of 14 days": single,
        "always valid, on all of 14 days": sequence,
        "length / single at the end": (always.high - always.low) / (found.high - found.low),
    }


def measure_number(world: World):
    """The mean and two quantiles of lognormal numbers that are asked in as many ranges as the table has segments.

    The table gives only the number of ranges; the numbers are drawn with a fixed seed and end at 1,000.
    """
    count = world.truth.size
    edges = np.concatenate([[0.0], np.geomspace(10, 1_000, count)])
    numbers = np.random.default_rng(0).lognormal(3.6, 1.2, 100_000).clip(0, 1_000)
    shares = np.histogram(numbers, edges)[0] / numbers.size
    tally = draw_tally(world.mechanism, world.random.multinomial(world.n, shares), world.random)
    ranges = Ranges(list(range(count)), edges[:-1], edges[1:])
    try:
        found = {"mean": covers(mean(world.mechanism, tally, ranges).confidence_interval(), numbers.mean())}
    except NotEstimableError:  # with 500 reports at epsilon 0.5, even the share of everybody is not 4 standard errors
        return None
    for at in (0.5, 0.9):
        interval = quantile(world.mechanism, tally, ranges, at).confidence_interval()
        found[f"quantile {at}"] = covers(interval, np.quantile(numbers, at))
    return found


STATISTICS: dict[str, tuple[Callable[[str], Iterator], Measure]] = {
    "linear": (worlds, measure_linear),
    "rate": (worlds, measure_rate),
    "epochs": (weeks, measure_epochs),
    "lift": (worlds, measure_lift),
    "rank": (worlds, measure_rank),
    "smooth": (weeks, measure_smooth),
    "number": (worlds, measure_number),
    "looks": (worlds, measure_looks),
    "pool": (worlds, measure_pool),
}


def run(statistic: str, repetitions: int) -> list[dict]:
    """One row for every cell and name: the mean coverage, and the least and the largest of one figure."""
    rows = []
    cells, measure = STATISTICS[statistic]
    for world in cells(statistic):
        draws: dict[str, list[np.ndarray]] = {}
        for _ in range(repetitions):
            for name, inside in (measure(world) or {}).items():
                draws.setdefault(name, []).append(inside.astype(float))
        for name, inside in draws.items():
            figures = np.array(inside)
            often = np.isfinite(figures).mean(axis=0) >= 0.25  # what is rarely shown has no measurable coverage
            if not often.any():
                continue
            each = np.nanmean(figures[:, often], axis=0)
            rows.append(
                {
                    "statistic": statistic,
                    "name": name,
                    "table": world.table,
                    "memory": world.memory,
                    "epsilon": world.epsilon,
                    "n": world.n,
                    "repetitions": len(inside),
                    "mean": round(float(each.mean()), 4),
                    "least": round(float(each.min()), 4),
                    "most": round(float(each.max()), 4),
                }
            )
    return rows


def markdown(rows: list[dict]) -> str:
    """The results as a table: one line for every statistic and name."""
    lines = [
        "# Coverage of nominal 95% intervals",
        "",
        "Written by `coverage.py`. A cell is one table, epsilon, number of reports and memory. Its coverage is the",
        "mean over its figures, such as segments. Figures that are shown in less than a quarter of the draws are left",
        "out.",
        "",
        "| statistic | figure | cells | draws a cell | mean | least cell | largest cell |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for key in dict.fromkeys((row["statistic"], row["name"]) for row in rows):
        cells = [row for row in rows if (row["statistic"], row["name"]) == key]
        means = [row["mean"] for row in cells]
        draws = max(row["repetitions"] for row in cells)
        figures = f"{np.mean(means):.3f} | {min(means):.3f} | {max(means):.3f}"
        lines.append(f"| {key[0]} | {key[1]} | {len(cells)} | {draws:,} | {figures} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("statistics", nargs="*", choices=[*STATISTICS, []], metavar="STATISTIC")
    parser.add_argument("--repetitions", type=int, default=400)
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    stored = json.loads(arguments.output.read_text()) if arguments.output.exists() else []
    for statistic in arguments.statistics or STATISTICS:
        begin = time.perf_counter()
        rows = run(statistic, arguments.repetitions)
        stored = [row for row in stored if row["statistic"] != statistic] + rows
        arguments.output.write_text("[\n" + ",\n".join(map(json.dumps, stored)) + "\n]\n")
        arguments.output.with_suffix(".md").write_text(markdown(stored))
        for name in dict.fromkeys(row["name"] for row in rows):
            cells = [row for row in rows if row["name"] == name]
            means = [row["mean"] for row in cells]
            least = min(row["least"] for row in cells)
            print(
                f"{statistic:12} {name:24} {len(cells):3} cells  mean {np.mean(means):.4f}"
                f"  cells {min(means):.3f} to {max(means):.3f}  least figure {least:.3f}"
                f"  ({time.perf_counter() - begin:.0f} s)"
            )


if __name__ == "__main__":
    main()
