"""Writes shopping-habits.toml, and a hushtally.db with the same reports of 12 weeks in every run."""

from datetime import date
from pathlib import Path

import numpy as np

from hushtally import Survey
from hushtally.client_sdk.protocol.report import Batch, Report
from hushtally.collector.admission import admit
from hushtally.collector.sqlite_store import SqliteStore
from hushtally.simulations.sampling import draw_tally
from hushtally.survey.template import example

FIRST = date(2026, 9, 7)  # the Monday of 2026-W37
WEEKS = 12
PLATFORMS = {"web": 2_500, "ios": 1_500}  # reports of a question in a week
SHARES = {  # in the first week and in the last
    "frequency": ((0.50, 0.28, 0.18, 0.04), (0.42, 0.29, 0.22, 0.07)),
    "affinity": ((0.38, 0.30, 0.22, 0.10), (0.38, 0.30, 0.22, 0.10)),
    "frequency_x_returned": ((0.04, 0.46, 0.09, 0.19, 0.11, 0.07, 0.03, 0.01),) * 2,
    "basket": ((0.12, 0.22, 0.16, 0.08, 0.04, 0.38),) * 2,
}

if __name__ == "__main__":
    Path("shopping-habits.toml").write_text(example(FIRST), encoding="utf-8")
    survey, random = Survey.load("shopping-habits.toml"), np.random.default_rng(1)
    store = SqliteStore("hushtally.db")
    store.register([survey])
    for week in range(WEEKS):
        day = date.fromordinal(FIRST.toordinal() + 7 * week)
        reports = []
        for question, (first, last) in SHARES.items():
            shares = np.array(first) + (np.array(last) - first) * week / (WEEKS - 1)
            for platform, n in PLATFORMS.items():
                tally = draw_tally(survey.question(question).mechanism, random.multinomial(n, shares), random)
                symbols = np.repeat(tally.symbols, tally.counts).tolist()
                reports += [Report(question, survey.epoch.label(day), {"platform": platform}, s) for s in symbols]
        batch = Batch(f"{week:032x}", survey.id, survey.version, survey.digest, tuple(reports))
        store.add([admit(batch, [survey], day)])
    store.close()
