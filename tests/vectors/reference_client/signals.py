"""The value of a signal over recorded events."""

from __future__ import annotations

import math
from datetime import date
from fractions import Fraction
from typing import Any


def signal(stated: dict[str, Any], today: str, events: list[Any]) -> Any:
    """stated: a survey's table, like {"sum": "purchase.amount", "days": 90}."""
    (function, source), (_, days) = stated.items()
    name, _, field = source.partition(".")
    window = [
        (age, fields)
        for day, event, fields in events
        if event == name and 0 <= (age := (date.fromisoformat(today) - date.fromisoformat(day)).days) < days
    ]
    if function == "count":
        return float(len(window))
    if function == "days_since":
        return float(min((age for age, _ in window), default=math.inf))
    values = [fields[field] for _, fields in window if field in fields]
    if function == "sum":
        return float(sum(Fraction(value) for value in values if not isinstance(value, str)))
    strings = [value if isinstance(value, str) else f"{value or 0:.15g}" for value in values]
    if function == "distinct":
        return float(len(set(strings)))
    last = {string: place for place, string in enumerate(strings)}
    return max(last, key=lambda string: (strings.count(string), last[string]), default=None)
