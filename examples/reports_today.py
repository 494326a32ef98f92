"""Reports that arrive today: ten thousand customers agree, shop and answer, by clocks that are moved on.

    hushtally survey new shopping-habits.toml
    hushtally serve shopping-habits.toml &
    python examples/reports_today.py
    hushtally estimate shopping-habits --question frequency

Purchases are invented, all else is as it ships. States are in memory alone: every run is of other customers.
"""

import os
import sys
from datetime import UTC, datetime

from hushtally import Client, Survey
from hushtally.testing import ScriptedClock

COLLECTOR = os.environ.get("COLLECTOR", "http://127.0.0.1:8080")
PURCHASES = (0, 0, 0, 0, 1, 1, 1, 2, 3, 7)  # of every ten customers

survey, now = Survey.load("shopping-habits.toml"), datetime.now(UTC)
# each of them answers one question of four, in one week of four: so many that this week's are enough to be published
reports = survey.min_reports + 6 * survey.min_reports**0.5  # on average; too few once in a million runs
customers = round(reports * survey.privacy.answers_every * len(survey.asked) / survey.privacy.questions_per_device)
print(f"{customers:,} customers: this takes a minute", flush=True)
delivered = 0
for number in range(customers):
    clock = ScriptedClock(now)
    with Client(survey, collector=COLLECTOR, state=":memory:", cohort={"platform": "web"}, clock=clock) as client:
        client.grant_consent()
        if silent := client.status().surveys[0].silent:
            sys.exit(f"nothing is counted: {silent}")
        for _ in range(PURCHASES[number % 10]):
            client.record("purchase", amount=24.90, category="books")
        client.tick()  # makes the answer, if one is due this week, to be sent at a random moment of the week:
        clock.advance(days=7)  # that is past now, by this clock; the collector goes by its own, and takes this week's
        if not client.flush():
            sys.exit(f"not delivered: {client.status().delivery}; does `hushtally serve` run?")
        delivered += client.status().counters.get("delivered", 0)
print(f"{delivered:,} reports counted; in truth, frequency is: none 40%, once 30%, regular 20%, heavy 10%")
