"""Reports that arrive today: thousands of invented customers agree, buy and answer. Their clocks are moved forward.

    hushtally survey new shopping-habits.toml --starts today --weeks 3 --defaults
    hushtally serve shopping-habits.toml &
    python examples/reports_today.py
    hushtally estimate shopping-habits --question frequency

In a survey of three weeks, every device answers every week. With 26 weeks, a device answers in one week of nine, and
this program invents nine times as many customers.

The purchases are invented. Everything else is the SDK as it ships. Each customer's state is only in memory, so every
run has new customers.
"""

import os
import sys
from datetime import UTC, datetime
from time import monotonic

from hushtally import Client, Survey
from hushtally.testing import ScriptedClock

COLLECTOR = os.environ.get("COLLECTOR", "http://127.0.0.1:8080")
PURCHASES = (0, 0, 0, 0, 1, 1, 1, 2, 3, 7)  # of every ten customers

survey, now = Survey.load("shopping-habits.toml"), datetime.now(UTC)
# A customer answers one of four questions in one of `answers_every` weeks. This many customers give enough reports to
# publish every question: on average 6 standard deviations more than min_reports. By chance, 1 run in 10^6 fails.
reports = survey.min_reports + 6 * survey.min_reports**0.5
customers = round(reports * survey.privacy.answers_every * len(survey.asked) / survey.privacy.questions_per_device)
print(f"{customers:,} customers answer, each with a request to {COLLECTOR}.", flush=True)
delivered, began, shown = 0, monotonic(), 0.0  # shown: when the last line of progress was printed
for number in range(customers):
    clock = ScriptedClock(now)
    with Client(survey, collector=COLLECTOR, state=":memory:", cohort={"platform": "web"}, clock=clock) as client:
        client.grant_consent()
        if silent := client.status().surveys[0].silent:
            sys.exit(f"The client does not count: {silent}.")
        for _ in range(PURCHASES[number % 10]):
            client.record("purchase", amount=24.90, category="books")
        client.tick()  # makes the answer if one is due this week; it is sent at a random moment of the week
        clock.advance(days=7)  # now that moment is in the past for the client; the collector uses its own clock
        if not client.flush():
            sys.exit(f"The batch was not delivered: {client.status().delivery}. Is `hushtally serve` running?")
        delivered += client.status().counters.get("delivered", 0)
    if monotonic() > shown + 10:
        shown = monotonic()
        left = (shown - began) * (customers / (number + 1) - 1)
        print(f"{number + 1:,} of {customers:,} done; about {left:.0f} s left", file=sys.stderr, flush=True)
print(f"{delivered:,} reports were counted. True shares of frequency: none 40%, once 30%, regular 20%, heavy 10%.")
