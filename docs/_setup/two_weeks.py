"""Writes shopping-habits.toml, and a hushtally.db with the same reports of 4,504 invented customers in every run."""

from datetime import date
from pathlib import Path

from hushtally import Survey
from hushtally.client_sdk.protocol.report import Batch, Report
from hushtally.client_sdk.testing import SeededRandomness
from hushtally.collector.admission import admit
from hushtally.collector.sqlite_store import SqliteStore
from hushtally.survey.template import example

CUSTOMERS = {  # week and platform: how many customers are in each segment of frequency
    ("2026-W47", "web"): (1_100, 500, 360, 40),
    ("2026-W47", "ios"): (500, 260, 180, 20),
    ("2026-W47", "android"): (150, 60, 40, 10),
    ("2026-W48", "web"): (700, 330, 230, 24),
}
FIRST, SECOND = date(2026, 11, 16), date(2026, 11, 23)  # the Mondays of these weeks

if __name__ == "__main__":
    Path("shopping-habits.toml").write_text(example(FIRST), encoding="utf-8")
    survey, randomness = Survey.load("shopping-habits.toml"), SeededRandomness(1)
    mechanism = survey.question("frequency").mechanism
    reports = tuple(
        Report("frequency", week, {"platform": platform}, mechanism.perturb(value, randomness))
        for (week, platform), customers in CUSTOMERS.items()
        for value, many in enumerate(customers)
        for _ in range(many)
    )
    store = SqliteStore("hushtally.db")
    store.register([survey])
    batch = Batch("a" * 32, survey.id, survey.version, survey.digest, reports)
    store.add([admit(batch, [survey], SECOND)])
    store.close()
