"""Builds the survey files of the tests.

>>> print(survey_text([FREQUENCY], signals={"orders": ORDERS}))
id = "habits"
version = 1
title = "Habits"
purpose = "Tests."
owner = "tests@shop.example"
starts = 2026-11-02
ends = 2026-11-29
epoch = "day"
[privacy]
epsilon = 1.0
[cohorts]
platform = ["web", "ios"]
[signals]
orders = { count = "purchase", days = 30 }
[[questions]]
id = "frequency"
segments = [{ id = "none", when = "orders == 0" }, { id = "some" }]
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

MONDAY = date(2026, 11, 2)
ORDERS = {"count": "purchase", "days": 30}
SPENT = {"sum": "purchase.amount", "days": 30}
FAVOURITE = {"top": "purchase.category", "days": 30}
PURCHASES = {"orders": ORDERS, "spent": SPENT, "favourite": FAVOURITE}
PLATFORMS = {"platform": ["web", "ios"]}

Table = Mapping[str, Any]
FREQUENCY: Table = {"id": "frequency", "segments": [{"id": "none", "when": "orders == 0"}, {"id": "some"}]}
SPENDING: Table = {"id": "spending", "number": "spent", "edges": [0, 10, 100]}
AFFINITY: Table = {"id": "affinity", "one_of": "favourite", "categories": ["books", "music"]}


def survey_text(
    questions: Sequence[Table] = (FREQUENCY, SPENDING, AFFINITY),
    *,
    starts: date = MONDAY,
    ends: date | None = None,
    privacy: Table | None = None,
    cohorts: Table = PLATFORMS,
    signals: Table = PURCHASES,
    **fields: Any,
) -> str:
    """A survey in TOML.

    ends: by default the survey runs for 28 days. privacy: added to an epsilon of 1. fields: further fields at the top
    of the file, or other values for id, version, title, purpose, owner and epoch.
    """
    top = {
        "id": "habits",
        "version": 1,
        "title": "Habits",
        "purpose": "Tests.",
        "owner": "tests@shop.example",
        "starts": starts,
        "ends": ends or starts + timedelta(days=27),
        "epoch": "day",
        **fields,
    }
    tables = {"privacy": {"epsilon": 1.0, **(privacy or {})}, "cohorts": cohorts, "signals": signals}
    lines = _lines(top)
    for name, table in tables.items():
        if table:
            lines += [f"[{name}]", *_lines(table)]
    for question in questions:
        lines += ["[[questions]]", *_lines(question)]
    return "\n".join(lines) + "\n"


def habits_text(
    id: str = "habits",
    *,
    version: int = 1,
    starts: date = MONDAY,
    days: int = 28,
    epoch: str = "day",
    epsilon: float = 1.0,
    questions: int = 1,
    every: int = 1,
) -> str:
    """A survey about purchases in TOML; a device answers `questions` of three questions, once in `every` epochs."""
    return survey_text(
        id=id,
        version=version,
        starts=starts,
        ends=starts + timedelta(days=days - 1),
        epoch=epoch,
        privacy={"epsilon": epsilon, "questions_per_device": questions, "answers_every": every},
    )


def _lines(table: Table) -> list[str]:
    return [f"{name} = {_toml(value)}" for name, value in table.items()]


def _toml(value: object) -> str:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return f"{{ {', '.join(_lines(value))} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)
