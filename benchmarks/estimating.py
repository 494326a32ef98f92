"""The processor time of every statistic on a large database, compared with that of reading its tallies.

    python benchmarks/estimating.py

20 questions x 12 epochs x 10 cohorts, with 10^6 and with 10^9 reports. The targets: all statistics together take at
most three times as long as reading the tallies, and 10^9 reports take as long as 10^6.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from time import process_time

import numpy as np

from hushtally.aggregator.database import Database
from hushtally.aggregator.row import Row
from hushtally.aggregator.selection import Selection
from hushtally.aggregator.summary import summarize_selection
from hushtally.aggregator.verbs.always_valid import always_valid_rows
from hushtally.aggregator.verbs.change import change_rows
from hushtally.aggregator.verbs.lift import lift_rows
from hushtally.aggregator.verbs.mean import mean_rows
from hushtally.aggregator.verbs.membership import membership_rows
from hushtally.aggregator.verbs.pool import epoch_rows
from hushtally.aggregator.verbs.quantile import quantile_rows
from hushtally.aggregator.verbs.rank import rank_rows
from hushtally.aggregator.verbs.rate import rate_rows
from hushtally.aggregator.verbs.smooth import smooth_rows
from hushtally.aggregator.verbs.trend import trend_rows
from hushtally.client_sdk.protocol.cell import Cell
from hushtally.client_sdk.protocol.store_file import CELLS, COUNTS
from hushtally.client_sdk.survey import Survey
from hushtally.collector.sqlite_store import SqliteStore
from hushtally.simulations.sampling import draw_tally

WEEKS = [f"2026-W{week}" for week in range(40, 52)]
HEAD = """
id = "large"
version = 1
title = "A large survey"
purpose = "To measure the time of estimates."
owner = "benchmarks@shop.example"
starts = 2026-09-28
ends = 2026-12-27
epoch = "week"
retention_days = 3660
min_reports = 10
[privacy]
epsilon = 1.0
answers_every = 4
[cohorts]
region = ["r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9"]
[signals]
orders = { count = "purchase", days = 90 }
spent = { sum = "purchase.amount", days = 90 }
favourite = { top = "purchase.category", days = 90 }
"""


def survey() -> Survey:
    """20 questions: 9 of 4 segments, 3 numbers, 3 of 16 categories, 4 crosses, and one of 64 categories."""
    text = HEAD
    for index in range(9):
        rules = ", ".join(f'{{ id = "s{k}", when = "orders == {k}" }}' for k in range(3))
        text += f'[[questions]]\nid = "segments{index}"\nsegments = [{rules}, {{ id = "rest" }}]\n'
    for index in range(3):
        text += f'[[questions]]\nid = "number{index}"\nnumber = "spent"\nedges = [0, 10, 20, 50, 100, 200]\n'
    for index, count in enumerate((15, 15, 15, 63)):
        names = ", ".join(f'"c{k}"' for k in range(count))
        text += f'[[questions]]\nid = "categories{index}"\none_of = "favourite"\ncategories = [{names}]\n'
    for index in range(4):
        text += f'[[questions]]\nid = "cross{index}"\ncross = ["segments{index}", "segments{index + 4}"]\n'
    return Survey.parse(text)


def write(path: Path, asked: Survey, reports: int) -> None:
    """A database with this number of reports, spread evenly over all cells."""
    store = SqliteStore(path)
    store.register([asked])
    store.close()
    import sqlite3

    random = np.random.default_rng(1)
    cells = len(asked.asked) * len(WEEKS) * 10
    with sqlite3.connect(path) as connection:
        for question in asked.asked:
            count = len(question.segments)
            truth = 1 / np.arange(1, count + 1)
            for week in WEEKS:
                for cohort in asked.all_cohorts():
                    held = random.multinomial(reports // cells, truth / truth.sum())
                    tally = draw_tally(question.mechanism, held, random)
                    cell = Cell.of(asked.id, asked.version, question.id, cohort, week)
                    row = (cell.key, cell.survey, cell.version, cell.question, cell.cohort, cell.epoch)
                    connection.execute(CELLS.insert, row)
                    pairs = zip(tally.symbols.tolist(), tally.counts.tolist(), strict=True)
                    connection.executemany(COUNTS.insert, [(cell.key, *pair) for pair in pairs])
    connection.close()


STATISTICS: dict[str, Callable[[Selection], list[Row]]] = {
    "shares": summarize_selection,
    "rate": lambda selection: rate_rows(selection, "segments4", ["s1"]),
    "change": lambda selection: change_rows(selection, WEEKS[0], WEEKS[-1]),
    "trend": trend_rows,
    "pool": epoch_rows,
    "rank": rank_rows,
    "lift": lift_rows,
    "mean": lambda selection: mean_rows(selection, 500),
    "quantile": lambda selection: quantile_rows(selection, [0.5], 500),
    "membership": membership_rows,
    "smooth": lambda selection: smooth_rows(selection, 0.01),
    "always valid": always_valid_rows,
}


def measure(path: Path, asked: Survey) -> None:
    begin = process_time()
    with Database.open(path) as database:
        tallies = database.tallies(asked, date(2026, 12, 31))
    reading = process_time() - begin
    symbols = sum(tally.symbols.size for tally in tallies.values())
    print(f"{len(tallies):,} cells, {symbols:,} rows of counts, read in {reading:.2f} s")
    total = 0.0
    for name, function in STATISTICS.items():
        begin = process_time()
        rows = function(Selection(asked, tallies, by=["region"]))
        seconds = process_time() - begin
        total += seconds
        published = sum(row.published for row in rows)
        print(f"  {name:14} {seconds:6.2f} s   {len(rows):7,} rows, {published:7,} published")
    print(f"  all together   {total:6.2f} s = {total / reading:.1f} times the reading")


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    asked = survey()
    assert len(asked.asked) == 20
    for reports in (10**6, 10**9):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "large.db"
            write(path, asked, reports)
            print(f"10^{len(str(reports)) - 1} reports: ", end="")
            measure(path, asked)


if __name__ == "__main__":
    main()
