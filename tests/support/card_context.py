"""A survey and a complete context file for the tests of the card; the example that users get may change."""

from __future__ import annotations

from typing import Any

import tomlkit

from hushtally.client_sdk.survey import Survey
from hushtally.survey.card.context import Context
from hushtally.survey.card.context_reader import ContextReader
from hushtally.survey.card.field import Kind, all_fields
from hushtally.survey.card.risk import rated_by_people

SURVEY = """
id = "habits"
version = 1
title = "How people shop with us"
purpose = "We count how many customers shop rarely and how many often, to decide which offers to build."
owner = "insights@shop.example"
starts = 2026-11-02
ends = 2027-05-02
epoch = "week"
retention_days = 180
min_reports = 500

[privacy]
epsilon = 1.0
questions_per_device = 1
answers_every = 13
memory = "fresh"

[cohorts]
platform = ["web", "ios", "android"]

[signals]
orders_90d = { count = "purchase", days = 90 }
spend_90d  = { sum = "purchase.amount", days = 90 }
idle_days  = { days_since = "purchase", days = 365 }
favourite  = { top = "purchase.category", days = 90 }

[[questions]]
id = "frequency"
title = "How often you bought in the last 90 days"
segments = [
  { id = "none",    when = "orders_90d == 0" },
  { id = "once",    when = "orders_90d == 1" },
  { id = "regular", when = "2 <= orders_90d <= 4" },
  { id = "heavy" },
]

[[questions]]
id = "returned"
title = "Whether you bought in the last 30 days"
segments = [ { id = "yes", when = "idle_days < 30" }, { id = "no" } ]
only_crossed = true

[[questions]]
id = "affinity"
title = "What you bought most often"
one_of = "favourite"
categories = ["books", "music", "games"]

[[questions]]
id = "frequency_x_returned"
title = "How often you bought, together with whether you bought lately"
cross = ["frequency", "returned"]

[[questions]]
id = "basket"
title = "What an order of yours costs on average"
number = "spend_90d / orders_90d"
edges = [0, 20, 50, 100, 200]
otherwise = "none"
"""
PERMANENT = SURVEY.replace('memory = "fresh"', 'memory = "permanent"\nepsilon_permanent = 1.5\nchanges = 1')
RATING = {
    "before": {"likelihood": "significant", "severity": "significant"},
    "after": {"likelihood": "limited", "severity": "limited"},
    "reason": "few people could do this",
}
CHOSEN = {
    "device": "customer",
    "severity": "limited",
    "dpo_advice_followed": "in part",
    "decision": "approved with conditions",
}


def sample(key: str) -> str:
    """The answer of the tests to a question that is answered in words; it occurs nowhere else."""
    return f"The answer about {key.replace('_', ' ')} is here."


def answers(survey: Survey) -> dict[str, Any]:
    """The [card] table of a context file that answers every question."""
    table: dict[str, Any] = {}
    for field in all_fields():
        match field.kind:
            case Kind.TEXT:
                table[field.key] = sample(field.key)
            case Kind.DAY:
                table[field.key] = "2026-10-26"
            case Kind.SWITCH:
                table[field.key] = False
            case Kind.EPSILON:
                table[field.key] = 100.0
            case Kind.CHOICE:
                table[field.key] = CHOSEN[field.key]
    return table | {"risks": {risk.id: RATING for risk in rated_by_people(survey)}}


def read(survey: Survey, table: dict[str, Any]) -> Context:
    """The context with this [card] table."""
    return ContextReader({"card": table}, survey).read()


def as_toml(table: dict[str, Any]) -> str:
    """The context file with this [card] table."""
    return tomlkit.dumps({"card": table})
